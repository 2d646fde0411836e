// Operands of the tile body for dx = w^T * dy: rows are a group's channels, columns the pixels of one phase, steps
// (k, ky, kx) over the taps that meet them.
//
// With a stride, only some taps meet a pixel, and pixels that lie a stride apart are met by the same ones: a phase. A
// dispatch computes the pixels FIRST + i * STEP of PHASE_HEIGHT x PHASE_WIDTH, from the taps FIRST_TAP + t * TAP_STEP.
// With a stride of one, and where there would be too many phases, `whole` has one of all pixels and all taps; with
// `scattered`, a tap that does not meet a pixel counts as zero.

import package::constants::{CHANNELS, HEIGHT, WIDTH, FIRST_FILTER, ALL_FILTERS, OUT_HEIGHT, OUT_WIDTH, KERNEL_HEIGHT, KERNEL_WIDTH};
import package::constants::{STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X, DILATION_Y, DILATION_X};
import package::constants::{GROUP_CHANNELS, GROUP_FILTERS};
import package::constants::{PHASE_HEIGHT, PHASE_WIDTH, FIRST_Y, FIRST_X, STEP_Y, STEP_X};
import package::constants::{TAPS_Y, TAPS_X, FIRST_TAP_Y, FIRST_TAP_X, TAP_STEP_Y, TAP_STEP_X};
import package::bindings::{dy, weight, dx};

const LEFT_RUNS_ALONG_STEPS: bool = true;
const RIGHT_RUNS_ALONG_STEPS: bool = false;

fn tap_x(step: i32) -> i32 {
    // mutate `FIRST_TAP_X + ` => `` (conv2d: taps of another phase)
    return FIRST_TAP_X + step % TAPS_X * TAP_STEP_X;
}

fn tap_y(step: i32) -> i32 {
    return FIRST_TAP_Y + step / TAPS_X % TAPS_Y * TAP_STEP_Y;
}

fn load_left(group: i32, row: i32, step: i32) -> f32 {
    let k = group * GROUP_FILTERS + step / (TAPS_X * TAPS_Y);
    @if(whole) let tap = step % (KERNEL_WIDTH * KERNEL_HEIGHT);
    @if(!whole) let tap = tap_y(step) * KERNEL_WIDTH + tap_x(step);
    return weight[(k * GROUP_CHANNELS + row) * (KERNEL_WIDTH * KERNEL_HEIGHT) + tap];
}

fn load_right(group: i32, step: i32, column: i32) -> f32 {
    let k = group * GROUP_FILTERS + step / (TAPS_X * TAPS_Y);
    let x = FIRST_X + column % PHASE_WIDTH * STEP_X + PADDING_X - tap_x(step) * DILATION_X;
    let y = FIRST_Y + column / PHASE_WIDTH % PHASE_HEIGHT * STEP_Y + PADDING_Y - tap_y(step) * DILATION_Y;
    let n = column / (PHASE_WIDTH * PHASE_HEIGHT);
    if (x < 0 || y < 0) {
        return 0.0;
    }
    // mutate `x % STRIDE_X != 0 ||` => `` (conv2d: outputs between strides)
    @if(scattered) if (x % STRIDE_X != 0 || y % STRIDE_Y != 0) {
        return 0.0;
    }
    let ox = x / STRIDE_X;
    let oy = y / STRIDE_Y;
    // mutate `oy >= OUT_HEIGHT` => `oy >= OUT_HEIGHT - 1` (conv2d: last row left out)
    if (ox >= OUT_WIDTH || oy >= OUT_HEIGHT) {
        return 0.0;
    }
    return dy[((n * ALL_FILTERS + FIRST_FILTER + k) * OUT_HEIGHT + oy) * OUT_WIDTH + ox];
}

fn store(group: i32, part: i32, row: i32, column: i32, sum: f32) {
    let n = column / (PHASE_WIDTH * PHASE_HEIGHT);
    @if(whole) let pixel = column % (WIDTH * HEIGHT);
    @if(!whole) let pixel = (FIRST_Y + column / PHASE_WIDTH % PHASE_HEIGHT * STEP_Y) * WIDTH + FIRST_X + column % PHASE_WIDTH * STEP_X;
    dx[(n * CHANNELS + group * GROUP_CHANNELS + row) * (WIDTH * HEIGHT) + pixel] = sum;
}
