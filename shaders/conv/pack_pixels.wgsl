// packed(q * padded_width + x, n * padded_height + y) = image n's channels 4q .. 4q+3 at pixel
// (y - border_y, x - border_x); zero outside of the image and beyond its channels.
// With `rows`: channel q's pixels x - border_x .. + 3 of one row instead.
//
// source [images, all_channels, height, width]; `channels` of them, from first_channel on, are packed. One
// invocation a texel.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var packed: texture_storage_2d<rgba32float, write>;

fn pixel(n: i32, c: i32, y: i32, x: i32) -> f32 {
    let inside = y >= 0 && y < arguments.height && x >= 0 && x < arguments.width;
    if (n < arguments.images && c < arguments.channels && inside) {
        let plane = n * arguments.all_channels + arguments.first_channel + c;
        return source[(plane * arguments.height + y) * arguments.width + x];
    }
    return 0.0;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let column = i32(index) % (arguments.quads * arguments.padded_width);
    let row = i32(index) / (arguments.quads * arguments.padded_width);
    let q = column / arguments.padded_width;
    let x = column % arguments.padded_width - arguments.border_x;
    let n = row / arguments.padded_height;
    let y = row % arguments.padded_height - arguments.border_y;
    @if(rows) let texel = vec4(pixel(n, q, y, x), pixel(n, q, y, x + 1), pixel(n, q, y, x + 2), pixel(n, q, y, x + 3));
    @if(!rows) let texel = vec4(
        pixel(n, 4 * q, y, x),
        pixel(n, 4 * q + 1, y, x),
        pixel(n, 4 * q + 2, y, x),
        pixel(n, 4 * q + 3, y, x),
    );
    textureStore(packed, vec2(column, row), texel);
}
