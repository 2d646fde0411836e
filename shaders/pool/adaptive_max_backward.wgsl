// dx[p,i] = sum of dy[p,o] over the windows o with argmax[p,o] = i, in the order of o
//
// Windows oy = floor(row OH / H) .. ceil((row + 1) OH / H) - 1 cover a row, columns alike. dx [planes, HEIGHT, WIDTH], dy and
// argmax [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation per element of dx.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::pool::adaptive::spans;
import package::bindings::{argmax, dy, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let windows = spans(i, vec2(HEIGHT, WIDTH), vec2(OUT_HEIGHT, OUT_WIDTH));
    var sum = 0.0;
    for (var oy = windows.rows.x; oy < windows.rows.y; oy++) {
        for (var ox = windows.columns.x; ox < windows.columns.y; ox++) {
            let o = windows.plane + oy * OUT_WIDTH + ox;
            // mutate `argmax[o] == i % (HEIGHT * WIDTH)` => `argmax[o] == i % (HEIGHT * WIDTH) + 1u` (adaptive_max_pool2d: one pixel beside)
            sum += select(0.0, dy[o], argmax[o] == i % (HEIGHT * WIDTH));
        }
    }
    dx[i] = sum;
}
