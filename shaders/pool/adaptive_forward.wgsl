// y[p,oy,ox] = mean of x[p] over rows floor(oy H / OH) .. ceil((oy + 1) H / OH) - 1, columns alike
//
// x [planes, HEIGHT, WIDTH], y [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation per element of y. Rows are
// summed one by one, so that rounding grows with a window's sides and not with its area.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH};
import package::arguments::arguments;
import package::lib::grid::linear_index;
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
    let left = ox * WIDTH / OUT_WIDTH;
    // mutate `+ OUT_WIDTH - 1u` => `` (adaptive_avg_pool2d: window ends rounded down)
    let right = ((ox + 1u) * WIDTH + OUT_WIDTH - 1u) / OUT_WIDTH;
    let top = oy * HEIGHT / OUT_HEIGHT;
    let bottom = ((oy + 1u) * HEIGHT + OUT_HEIGHT - 1u) / OUT_HEIGHT;
    var sum = 0.0;
    for (var row = top; row < bottom; row++) {
        var row_sum = 0.0;
        for (var column = left; column < right; column++) {
            row_sum += x[plane + row * WIDTH + column];
        }
        sum += row_sum;
    }
    y[o] = sum / f32((bottom - top) * (right - left));
}
