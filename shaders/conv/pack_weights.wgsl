// Texel t = r * steps + s holds the weights of result channels 4r .. 4r+3 at reduction step s, and
// stands at (t mod WEIGHT_ROW, t / WEIGHT_ROW). A step is (tap, channel), the channel fastest and
// padded to step_channels; zero beyond the channels.
//
// Result channels are filters, the others channels of their group; the other way round with
// `transposed`. With `rows`, channel c of a step is channel c / 4 at the column 4 * tap column + c mod 4.
// Columns beyond the window are weights of 0.
// source [groups * filters, channels, kernel_height, kernel_width]. One invocation per texel.

import package::constants::{WORKGROUP, WEIGHT_ROW};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{source, packed};

fn weight(result: u32, other: u32, ky: u32, kx: u32) -> f32 {
    @if(transposed) let group = result / arguments.channels;
    @if(transposed) let filter_of_group = other;
    @if(transposed) let c = result % arguments.channels;
    @if(!transposed) let group = result / arguments.filters;
    @if(!transposed) let filter_of_group = result % arguments.filters;
    @if(!transposed) let c = other;
    let k = group * arguments.filters + filter_of_group;
    let inside = group < arguments.groups && filter_of_group < arguments.filters && c < arguments.channels;
    if (inside && kx < arguments.kernel_width) {
        return source[((k * arguments.channels + c) * arguments.kernel_height + ky) * arguments.kernel_width + kx];
    }
    return 0.0;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let t = linear_index(id);
    if (t >= arguments.count) {
        return;
    }
    let r = 4 * (t / arguments.steps);
    let step = t % arguments.steps;
    let tap = step / arguments.step_channels;
    let ky = tap / arguments.tap_columns;
    @if(rows) let kx = 4 * (tap % arguments.tap_columns) + step % 4;
    @if(!rows) let kx = tap % arguments.tap_columns;
    @if(rows) let other = step % arguments.step_channels / 4;
    @if(!rows) let other = step % arguments.step_channels;
    let texel = vec4(
        weight(r, other, ky, kx),
        weight(r + 1, other, ky, kx),
        weight(r + 2, other, ky, kx),
        // mutate `weight(r + 3, other` => `weight(r + 2, other` (conv2d: third filter for the fourth)
        weight(r + 3, other, ky, kx),
    );
    textureStore(packed, vec2(t % WEIGHT_ROW, t / WEIGHT_ROW), texel);
}
