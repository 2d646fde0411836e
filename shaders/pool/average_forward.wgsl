// y[p,oy,ox] = sum over i, j of x[p, oy * STRIDE_Y - PADDING_Y + i, ox * STRIDE_X - PADDING_X + j] inside
// the image / area of the window
//
// x [planes, HEIGHT, WIDTH], y [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation per element of y. Rows
// above the image wrap around to huge numbers, so that one comparison finds both borders.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH};
import package::constants::{KERNEL_Y, KERNEL_X, STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::pool::area::area;
import package::bindings::{x, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let o = linear_index(id);
    if (o >= arguments.count) {
        return;
    }
    let ox = o % OUT_WIDTH;
    let oy = o / OUT_WIDTH % OUT_HEIGHT;
    let plane = o / (OUT_HEIGHT * OUT_WIDTH) * (HEIGHT * WIDTH);
    let left = ox * STRIDE_X - PADDING_X;
    // mutate `- PADDING_Y;` => `;` (avg_pool2d: no padding)
    let top = oy * STRIDE_Y - PADDING_Y;
    var sum = 0.0;
    for (var i = 0u; i < KERNEL_Y; i++) {
        var row_sum = 0.0;
        for (var j = 0u; j < KERNEL_X; j++) {
            let row = top + i;
            let column = left + j;
            // A load of any element is cheaper than a branch around it.
            let value = x[plane + min(row, HEIGHT - 1u) * WIDTH + min(column, WIDTH - 1u)];
            row_sum += select(0.0, value, (row < HEIGHT) & (column < WIDTH));
        }
        sum += row_sum;
    }
    y[o] = sum / area(oy, ox);
}
