// dx[p,row,column] = sum of dy[p,o] / area of window o, over the windows o that cover the pixel
//
// Windows oy = floor(row OH / H) .. ceil((row + 1) OH / H) - 1 cover a row, of windows that start at
// floor(oy H / OH) and end before ceil((oy + 1) H / OH); columns alike. dx [planes, HEIGHT, WIDTH], dy
// [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation per element of dx.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{dy, dx};

// Number of rows (columns) of window o.
fn extent(o: u32, out: u32, size: u32) -> u32 {
    return ((o + 1u) * size + out - 1u) / out - o * size / out;
}

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
    // mutate `+ WIDTH - 1u` => `` (adaptive_avg_pool2d: last window left out)
    let right = ((column + 1u) * OUT_WIDTH + WIDTH - 1u) / WIDTH;
    let top = row * OUT_HEIGHT / HEIGHT;
    let bottom = ((row + 1u) * OUT_HEIGHT + HEIGHT - 1u) / HEIGHT;
    var sum = 0.0;
    for (var oy = top; oy < bottom; oy++) {
        for (var ox = left; ox < right; ox++) {
            let area = extent(oy, OUT_HEIGHT, HEIGHT) * extent(ox, OUT_WIDTH, WIDTH);
            sum += dy[plane + oy * OUT_WIDTH + ox] / f32(area);
        }
    }
    dx[i] = sum;
}
