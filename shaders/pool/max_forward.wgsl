// y[p,oy,ox] = max over i, j of x[p, oy * STRIDE_Y - PADDING_Y + i * DILATION_Y, ox ...], of what lies
// inside the image; argmax[p,oy,ox] = where in its plane the first such maximum lies. NaN is larger than any number,
// and the last of them counts.
//
// x [planes, HEIGHT, WIDTH], y and argmax [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation per element
// of y. Rows above the image wrap around to huge numbers, so that one comparison finds both borders.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH};
import package::constants::{KERNEL_Y, KERNEL_X, STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X, DILATION_Y, DILATION_X};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::is_nan;
import package::bindings::{x, y, argmax};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let o = linear_index(id);
    if (o >= arguments.count) {
        return;
    }
    let left = o % OUT_WIDTH * STRIDE_X - PADDING_X;
    let top = o / OUT_WIDTH % OUT_HEIGHT * STRIDE_Y - PADDING_Y;
    let plane = o / (OUT_HEIGHT * OUT_WIDTH) * (HEIGHT * WIDTH);
    var best = 0.0;
    var place = 0u;
    // A maximum of no elements, or of NaN, is not compared with.
    // mutate `var none = true` => `var none = false` (max_pool2d: negative maxima)
    var none = true;
    var beyond = false;
    for (var i = 0u; i < KERNEL_Y; i++) {
        for (var j = 0u; j < KERNEL_X; j++) {
            // mutate `i * DILATION_Y` => `i` (max_pool2d: no dilation)
            let row = top + i * DILATION_Y;
            let column = left + j * DILATION_X;
            // A load of any element is cheaper than a branch around it.
            let index = min(row, HEIGHT - 1u) * WIDTH + min(column, WIDTH - 1u);
            let value = x[plane + index];
            let nan = is_nan(value);
            // mutate `(nan | (` => `((` (max_pool2d: NaN lost in maxima)
            // mutate `value > best` => `value >= best` (max_pool2d: last of equal maxima)
            let better = (row < HEIGHT) & (column < WIDTH) & (nan | (!beyond & (none | (value > best))));
            best = select(best, value, better);
            place = select(place, index, better);
            none = none & !better;
            beyond = beyond | (better & nan);
        }
    }
    y[o] = best;
    @if(argmax) { argmax[o] = place; }
}
