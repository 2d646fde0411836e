// Operands of the tile body for dx = w^T * dy: rows are a group's channels, columns the pixels of one phase, steps
// (k, ky, kx) over the taps that meet them.
//
// With a stride, only some taps meet a pixel, and pixels that lie a stride apart are met by the same ones: a phase. A
// dispatch computes the pixels FIRST + i * STEP of PHASE_HEIGHT x PHASE_WIDTH, from the taps FIRST_TAP + t * TAP_STEP.
// With a stride of one, and where there would be too many phases, `whole` has one of all pixels and all taps; with
// `scattered`, a tap that does not meet a pixel counts as zero.
//
// Pixel p and tap t meet in output (p + PADDING - t * DILATION) / STRIDE. In a phase, what pixel and tap say of it are both
// multiples of the stride, and where the two are `scattered` and meet, they leave the same remainder: so each is divided alone.

import package::constants::{CHANNELS, HEIGHT, WIDTH, FIRST_FILTER, ALL_FILTERS, OUT_HEIGHT, OUT_WIDTH, KERNEL_HEIGHT, KERNEL_WIDTH};
import package::constants::{STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X, DILATION_Y, DILATION_X};
import package::constants::{GROUP_CHANNELS, GROUP_FILTERS};
import package::constants::{PHASE_HEIGHT, PHASE_WIDTH, FIRST_Y, FIRST_X, STEP_Y, STEP_X};
import package::constants::{TAPS_Y, TAPS_X, FIRST_TAP_Y, FIRST_TAP_X, TAP_STEP_Y, TAP_STEP_X};
import package::conv::place::{Place, inside};
import package::bindings::{dy, weight, dx};

const PIXELS: u32 = u32(PHASE_HEIGHT * PHASE_WIDTH);
const TAPS: u32 = u32(TAPS_Y * TAPS_X);
const KERNEL_TAPS: i32 = KERNEL_HEIGHT * KERNEL_WIDTH;

const LEFT_RUNS_ALONG_STEPS: bool = true;
const RIGHT_RUNS_ALONG_STEPS: bool = WIDTH * HEIGHT == 1;
const RESULT_RUNS_ALONG_ROWS: bool = WIDTH * HEIGHT == 1;

fn left_row(group: u32, row: u32) -> i32 {
    return (i32(group) * GROUP_FILTERS * GROUP_CHANNELS + i32(row)) * KERNEL_TAPS;
}

fn left_step(step: u32) -> i32 {
    let k = i32(step / TAPS);
    // mutate `FIRST_TAP_X + ` => `` (conv2d: taps of another phase)
    let kx = FIRST_TAP_X + i32(step % u32(TAPS_X)) * TAP_STEP_X;
    let ky = FIRST_TAP_Y + i32(step % TAPS / u32(TAPS_X)) * TAP_STEP_Y;
    return k * GROUP_CHANNELS * KERNEL_TAPS + ky * KERNEL_WIDTH + kx;
}

fn load_left(index: i32) -> f32 {
    return weight[index];
}

fn right_column(group: u32, column: u32) -> Place {
    let n = i32(column / PIXELS);
    let x = FIRST_X + i32(column % u32(PHASE_WIDTH)) * STEP_X + PADDING_X - FIRST_TAP_X * DILATION_X;
    let y = FIRST_Y + i32(column % PIXELS / u32(PHASE_WIDTH)) * STEP_Y + PADDING_Y - FIRST_TAP_Y * DILATION_Y;
    let ox = x / STRIDE_X;
    let oy = y / STRIDE_Y;
    let k = FIRST_FILTER + i32(group) * GROUP_FILTERS;
    let index = ((n * ALL_FILTERS + k) * OUT_HEIGHT + oy) * OUT_WIDTH + ox;
    @if(scattered) return Place(index, vec2(x, y));
    @if(!scattered) return Place(index, vec2(ox, oy));
}

fn right_step(step: u32) -> Place {
    let k = i32(step / TAPS);
    let x = i32(step % u32(TAPS_X)) * (TAP_STEP_X * DILATION_X);
    let y = i32(step % TAPS / u32(TAPS_X)) * (TAP_STEP_Y * DILATION_Y);
    let ox = x / STRIDE_X;
    let oy = y / STRIDE_Y;
    let index = (k * OUT_HEIGHT - oy) * OUT_WIDTH - ox;
    @if(scattered) return Place(index, -vec2(x, y));
    @if(!scattered) return Place(index, -vec2(ox, oy));
}

fn meets(place: Place) -> bool {
    // mutate `vec2(OUT_WIDTH, OUT_HEIGHT)` => `vec2(OUT_WIDTH, OUT_HEIGHT - 1)` (conv2d: last row left out)
    let size = vec2(OUT_WIDTH, OUT_HEIGHT);
    let stride = vec2(STRIDE_X, STRIDE_Y);
    // mutate `all(place.at % stride == vec2(0))` => `true` (conv2d: outputs between strides)
    @if(scattered) return inside(place, size * stride) & all(place.at % stride == vec2(0));
    @if(!scattered) return inside(place, size);
}

fn load_right(index: i32) -> f32 {
    return dy[index];
}

fn result_column(group: u32, part: u32, column: u32) -> i32 {
    @if(whole) let pixel = i32(column % PIXELS);
    @if(!whole) let pixel = (FIRST_Y + i32(column % PIXELS / u32(PHASE_WIDTH)) * STEP_Y) * WIDTH
        + FIRST_X + i32(column % u32(PHASE_WIDTH)) * STEP_X;
    return i32(column / PIXELS) * CHANNELS * WIDTH * HEIGHT + pixel;
}

fn store(column: i32, group: u32, row: u32, sum: f32) {
    dx[column + (i32(group) * GROUP_CHANNELS + i32(row)) * WIDTH * HEIGHT] = sum;
}
