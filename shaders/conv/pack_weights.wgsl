// Texel t = r * STEPS + s holds the weights of result channels 4r .. 4r+3 at reduction step s, and
// stands at (t mod WEIGHT_ROW, t / WEIGHT_ROW). A step is (tap, channel), the channel fastest and
// padded to STEP_CHANNELS; zero beyond the channels.
//
// Result channels are filters, the others channels; the other way round with `transposed`. With
// `rows`, channel c of a step is channel c / 4 at the column 4 * tap column + c mod 4.
// source [FILTERS, CHANNELS, KERNEL_HEIGHT, KERNEL_WIDTH]. One invocation a texel.

import package::constants::{WORKGROUP, CHANNELS, FILTERS, KERNEL_HEIGHT, KERNEL_WIDTH};
import package::constants::{WEIGHT_ROW, STEPS, STEP_CHANNELS, TAP_COLUMNS};
import package::arguments::arguments;
import package::lib::grid::linear_index;

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var packed: texture_storage_2d<rgba32float, write>;

fn weight(result: u32, other: u32, ky: u32, kx: u32) -> f32 {
    @if(transposed) let k = other;
    @if(transposed) let c = result;
    @if(!transposed) let k = result;
    @if(!transposed) let c = other;
    if (k < FILTERS && c < CHANNELS && kx < KERNEL_WIDTH) {
        return source[((k * CHANNELS + c) * KERNEL_HEIGHT + ky) * KERNEL_WIDTH + kx];
    }
    return 0.0;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let t = linear_index(id);
    if (t >= arguments.count) {
        return;
    }
    let r = 4 * (t / STEPS);
    let step = t % STEPS;
    let tap = step / STEP_CHANNELS;
    let ky = tap / TAP_COLUMNS;
    @if(rows) let kx = 4 * (tap % TAP_COLUMNS) + step % 4;
    @if(!rows) let kx = tap % TAP_COLUMNS;
    @if(rows) let other = step % STEP_CHANNELS / 4;
    @if(!rows) let other = step % STEP_CHANNELS;
    let texel = vec4(
        weight(r, other, ky, kx),
        weight(r + 1, other, ky, kx),
        weight(r + 2, other, ky, kx),
        weight(r + 3, other, ky, kx),
    );
    textureStore(packed, vec2(t % WEIGHT_ROW, t / WEIGHT_ROW), texel);
}
