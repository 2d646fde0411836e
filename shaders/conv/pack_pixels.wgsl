// packed(q * PADDED_WIDTH + x, n * PADDED_HEIGHT + y) = image n's channels 4q .. 4q+3 at pixel
// (y - BORDER_Y, x - BORDER_X); zero outside of the image and beyond its channels.
// With `rows`: channel q's pixels x - BORDER_X .. + 3 of one row instead.
//
// source [IMAGES, ALL_CHANNELS, HEIGHT, WIDTH]; CHANNELS of them, from FIRST_CHANNEL on, are packed. One invocation a texel.

import package::constants::{WORKGROUP, IMAGES, CHANNELS, FIRST_CHANNEL, ALL_CHANNELS, HEIGHT, WIDTH};
import package::constants::{BORDER_Y, BORDER_X, PADDED_HEIGHT, PADDED_WIDTH, QUADS};
import package::arguments::arguments;
import package::lib::grid::linear_index;

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var packed: texture_storage_2d<rgba32float, write>;

fn pixel(n: i32, c: i32, y: i32, x: i32) -> f32 {
    if (n < IMAGES && c < CHANNELS && y >= 0 && y < HEIGHT && x >= 0 && x < WIDTH) {
        return source[((n * ALL_CHANNELS + FIRST_CHANNEL + c) * HEIGHT + y) * WIDTH + x];
    }
    return 0.0;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let column = i32(index) % (QUADS * PADDED_WIDTH);
    let row = i32(index) / (QUADS * PADDED_WIDTH);
    let q = column / PADDED_WIDTH;
    let x = column % PADDED_WIDTH - BORDER_X;
    let n = row / PADDED_HEIGHT;
    let y = row % PADDED_HEIGHT - BORDER_Y;
    @if(rows) let texel = vec4(pixel(n, q, y, x), pixel(n, q, y, x + 1), pixel(n, q, y, x + 2), pixel(n, q, y, x + 3));
    @if(!rows) let texel = vec4(
        pixel(n, 4 * q, y, x),
        pixel(n, 4 * q + 1, y, x),
        pixel(n, 4 * q + 2, y, x),
        pixel(n, 4 * q + 3, y, x),
    );
    textureStore(packed, vec2(column, row), texel);
}
