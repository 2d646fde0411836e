// dx[p,i] = sum of dy[p,o] over the windows o with argmax[p,o] = i, in the order of o
//
// Windows oy = floor(row OH / H) .. ceil((row + 1) OH / H) - 1 cover a row, columns alike. dx [planes, HEIGHT, WIDTH], dy and
// argmax [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation per element of dx.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{argmax, dy, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let column = i % WIDTH;
    let row = i / WIDTH % HEIGHT;
    let plane = i / (HEIGHT * WIDTH) * (OUT_HEIGHT * OUT_WIDTH);
    let left = column * OUT_WIDTH / WIDTH;
    // mutate `+ WIDTH - 1u` => `` (adaptive_max_pool2d: last window left out)
    let right = ((column + 1u) * OUT_WIDTH + WIDTH - 1u) / WIDTH;
    let top = row * OUT_HEIGHT / HEIGHT;
    let bottom = ((row + 1u) * OUT_HEIGHT + HEIGHT - 1u) / HEIGHT;
    var sum = 0.0;
    for (var oy = top; oy < bottom; oy++) {
        for (var ox = left; ox < right; ox++) {
            let o = plane + oy * OUT_WIDTH + ox;
            // mutate `argmax[o] == row * WIDTH + column` => `argmax[o] == row * WIDTH + column + 1u` (adaptive_max_pool2d: one pixel beside)
            sum += select(0.0, dy[o], argmax[o] == row * WIDTH + column);
        }
    }
    dx[i] = sum;
}
