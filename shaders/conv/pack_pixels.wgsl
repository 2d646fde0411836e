// packed(q * padded_width + x, n * padded_height + y) = image n's channels 4q .. 4q+3 at pixel
// (y - border_y, x - border_x); zero outside of the image and beyond its channels.
// With `rows`: channel q's pixels x - border_x .. + 3 of one row instead. Where windows end within a texel, q beyond
// the channels are channel q - channels' again, with zeros after the first `last` pixels.
// With `bias_gradient`: sums[p, c] = sum of channel c's pixels in part p, as well.
//
// source [images, all_channels, height, width]; `channels` of them, from first_channel on, are packed; sums
// [parts, channels]. One invocation part_rows of the packed rows of a texel q: part p is the rows
// p * part_rows and on, so that where a row lies is found once for all of its texels.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;
@if(bias_gradient) import package::lib::sum::{no_sums, plus_all, totals};
import package::bindings::{source, packed, sums};

// A pixel of the row that begins at `line`, if the row is of an image.
fn pixel(is_row: bool, line: i32, x: i32) -> f32 {
    // mutate `x < arguments.width` => `x <= arguments.width` (conv2d: one column beyond the image)
    if (is_row && x >= 0 && x < arguments.width) {
        return source[line + x];
    }
    return 0.0;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let q = i32(index) % arguments.quads;
    let part = i32(index) / arguments.quads;
    @if(bias_gradient) var all = no_sums(id);
    // mutate `(part + 1) * arguments.part_rows` => `(part + 1) * arguments.part_rows - 1` (conv2d: last row of a part left out)
    for (var row = part * arguments.part_rows; row < min((part + 1) * arguments.part_rows, arguments.all_rows); row++) {
        let n = row / arguments.padded_height;
        let y = row % arguments.padded_height - arguments.border_y;
        let is_row = n < arguments.images && y >= 0 && y < arguments.height;
        @if(rows) let c = q % arguments.channels;
        @if(rows) let kept = select(4, arguments.last, q >= arguments.channels);
        @if(!rows) let c = 4 * q;
        let plane = n * arguments.all_channels + arguments.first_channel + c;
        let line = (plane * arguments.height + y) * arguments.width;
        let pitch = arguments.height * arguments.width;
        @if(bias_gradient) var row_sum = vec4(0.0);
        for (var column = 0; column < arguments.padded_width; column++) {
            let x = column - arguments.border_x;
            @if(rows) let texel = vec4(
                pixel(is_row, line, x),
                pixel(is_row && kept > 1, line, x + 1),
                // mutate `kept > 2` => `kept > 1` (conv2d: an infinity two beyond the window)
                pixel(is_row && kept > 2, line, x + 2),
                pixel(is_row && kept > 3, line, x + 3),
            );
            @if(!rows) let texel = vec4(
                pixel(is_row, line, x),
                pixel(is_row && c + 1 < arguments.channels, line + pitch, x),
                pixel(is_row && c + 2 < arguments.channels, line + 2 * pitch, x),
                // mutate `c + 3 < arguments.channels` => `c + 4 < arguments.channels` (conv2d: last channel left out)
                pixel(is_row && c + 3 < arguments.channels, line + 3 * pitch, x),
            );
            textureStore(packed, vec2(q * arguments.padded_width + column, row), texel);
            // mutate `row_sum += texel` => `row_sum = texel` (conv2d: bias gradient not summed)
            @if(bias_gradient) row_sum += texel;
        }
        @if(bias_gradient) all = plus_all(all, row_sum);
    }
    @if(bias_gradient) {
        let total = totals(all);
        for (var i = 0; i < min(4, arguments.channels - 4 * q); i++) {
            sums[part * arguments.channels + 4 * q + i] = total[i];
        }
    }
}
