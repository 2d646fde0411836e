// dx[p,row,column] = sum of dy[p,o] / area of window o, over the windows o that cover the pixel
//
// Windows oy = floor(row OH / H) .. ceil((row + 1) OH / H) - 1 cover a row, of windows that start at
// floor(oy H / OH) and end before ceil((oy + 1) H / OH); columns alike. dx [planes, HEIGHT, WIDTH], dy
// [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation per element of dx.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::pool::adaptive::{span, spans};
import package::bindings::{dy, dx};

// Number of rows (columns) of window o.
fn extent(o: u32, out: u32, size: u32) -> u32 {
    let window = span(o, out, size);
    return window.y - window.x;
}

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
            let area = extent(oy, OUT_HEIGHT, HEIGHT) * extent(ox, OUT_WIDTH, WIDTH);
            // mutate `/ f32(area)` => `` (adaptive_avg_pool2d: gradient not divided)
            sum += dy[windows.plane + oy * OUT_WIDTH + ox] / f32(area);
        }
    }
    dx[i] = sum;
}
