// Operands of the tile body for dx = w^T * dy: rows are a group's channels, columns input pixels
// (n, iy, ix), steps (k, ky, kx). A tap that does not meet the pixel counts as zero.

import package::constants::{CHANNELS, HEIGHT, WIDTH, FIRST_FILTER, ALL_FILTERS, OUT_HEIGHT, OUT_WIDTH, KERNEL_HEIGHT, KERNEL_WIDTH};
import package::constants::{STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X, DILATION_Y, DILATION_X};
import package::constants::{GROUP_CHANNELS, GROUP_FILTERS};
import package::bindings::{dy, weight, dx};

const LEFT_RUNS_ALONG_STEPS: bool = true;
const RIGHT_RUNS_ALONG_STEPS: bool = false;

fn load_left(group: i32, row: i32, step: i32) -> f32 {
    let tap = step % (KERNEL_WIDTH * KERNEL_HEIGHT);
    let k = group * GROUP_FILTERS + step / (KERNEL_WIDTH * KERNEL_HEIGHT);
    return weight[(k * GROUP_CHANNELS + row) * (KERNEL_WIDTH * KERNEL_HEIGHT) + tap];
}

fn load_right(group: i32, step: i32, column: i32) -> f32 {
    let kx = step % KERNEL_WIDTH;
    let ky = step / KERNEL_WIDTH % KERNEL_HEIGHT;
    let k = group * GROUP_FILTERS + step / (KERNEL_WIDTH * KERNEL_HEIGHT);
    let x = column % WIDTH + PADDING_X - kx * DILATION_X;
    let y = column / WIDTH % HEIGHT + PADDING_Y - ky * DILATION_Y;
    let n = column / (WIDTH * HEIGHT);
    // mutate `x % STRIDE_X != 0 ||` => `` (conv2d: outputs between strides)
    if (x < 0 || y < 0 || x % STRIDE_X != 0 || y % STRIDE_Y != 0) {
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
    let pixel = column % (WIDTH * HEIGHT);
    let n = column / (WIDTH * HEIGHT);
    dx[(n * CHANNELS + group * GROUP_CHANNELS + row) * (WIDTH * HEIGHT) + pixel] = sum;
}
