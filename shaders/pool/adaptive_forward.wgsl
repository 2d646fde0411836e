// y[p,oy,ox] = mean of x[p] over rows floor(oy H / OH) .. ceil((oy + 1) H / OH) - 1, columns alike
//
// x [planes, HEIGHT, WIDTH], y [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation per element of y. Rows are
// summed one by one, so that rounding grows with a window's sides and not with its area.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::pool::adaptive::spans;
import package::bindings::{x, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let o = linear_index(id);
    if (o >= arguments.count) {
        return;
    }
    let window = spans(o, vec2(OUT_HEIGHT, OUT_WIDTH), vec2(HEIGHT, WIDTH));
    var sum = 0.0;
    for (var row = window.rows.x; row < window.rows.y; row++) {
        var row_sum = 0.0;
        for (var column = window.columns.x; column < window.columns.y; column++) {
            // mutate `row * WIDTH + column` => `row * WIDTH` (adaptive_avg_pool2d: first column for all)
            row_sum += x[window.plane + row * WIDTH + column];
        }
        sum += row_sum;
    }
    y[o] = sum / f32((window.rows.y - window.rows.x) * (window.columns.y - window.columns.x));
}
