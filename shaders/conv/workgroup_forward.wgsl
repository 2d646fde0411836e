// Operands of the tile body for y = f(w * x + bias), f an activation or none: rows are a group's filters, columns output pixels
// (n, oy, ox), steps (c, ky, kx).

import package::constants::{CHANNELS, HEIGHT, WIDTH, FIRST_FILTER, ALL_FILTERS, OUT_HEIGHT, OUT_WIDTH, KERNEL_HEIGHT, KERNEL_WIDTH};
import package::constants::{STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X, DILATION_Y, DILATION_X};
import package::constants::{GROUP_CHANNELS, GROUP_FILTERS, DEPTH};
import package::activation::epilogue::epilogue;
import package::bindings::{x, weight, bias, y};

const LEFT_RUNS_ALONG_STEPS: bool = true;
const RIGHT_RUNS_ALONG_STEPS: bool = false;

fn load_left(group: i32, row: i32, step: i32) -> f32 {
    return weight[(group * GROUP_FILTERS + row) * DEPTH + step];
}

fn load_right(group: i32, step: i32, column: i32) -> f32 {
    let kx = step % KERNEL_WIDTH;
    let ky = step / KERNEL_WIDTH % KERNEL_HEIGHT;
    let c = group * GROUP_CHANNELS + step / (KERNEL_WIDTH * KERNEL_HEIGHT);
    let ix = column % OUT_WIDTH * STRIDE_X + kx * DILATION_X - PADDING_X;
    let iy = column / OUT_WIDTH % OUT_HEIGHT * STRIDE_Y + ky * DILATION_Y - PADDING_Y;
    let n = column / (OUT_WIDTH * OUT_HEIGHT);
    // mutate `ix >= WIDTH` => `ix > WIDTH` (conv2d: one column beyond the image)
    if (ix < 0 || ix >= WIDTH || iy < 0 || iy >= HEIGHT) {
        return 0.0;
    }
    return x[((n * CHANNELS + c) * HEIGHT + iy) * WIDTH + ix];
}

fn store(group: i32, part: i32, row: i32, column: i32, sum: f32) {
    let k = group * GROUP_FILTERS + row;
    let pixel = column % (OUT_WIDTH * OUT_HEIGHT);
    let n = column / (OUT_WIDTH * OUT_HEIGHT);
    // mutate `sum + bias[k]` => `sum` (conv2d: dropped bias)
    @if(bias) let value = sum + bias[k];
    @if(!bias) let value = sum;
    y[(n * ALL_FILTERS + FIRST_FILTER + k) * (OUT_WIDTH * OUT_HEIGHT) + pixel] = epilogue(value);
}
