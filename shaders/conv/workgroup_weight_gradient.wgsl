// Operands of the tile body for dw = dy * x^T: rows are a group's filters, columns (c, ky, kx), steps
// output pixels (n, oy, ox), of which each part sums a run. With `bias_gradient`, the sum of each row of dy is
// db.

import package::constants::{CHANNELS, HEIGHT, WIDTH, FIRST_FILTER, ALL_FILTERS, OUT_HEIGHT, OUT_WIDTH, KERNEL_HEIGHT, KERNEL_WIDTH};
import package::constants::{STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X, DILATION_Y, DILATION_X};
import package::constants::{FILTERS, GROUP_CHANNELS, GROUP_FILTERS, COLUMNS, ELEMENTS};
import package::bindings::{x, dy, dw, db};

const LEFT_RUNS_ALONG_STEPS: bool = true;
const RIGHT_RUNS_ALONG_STEPS: bool = true;

fn load_left(group: i32, row: i32, step: i32) -> f32 {
    let pixel = step % (OUT_WIDTH * OUT_HEIGHT);
    let n = step / (OUT_WIDTH * OUT_HEIGHT);
    return dy[(n * ALL_FILTERS + FIRST_FILTER + group * GROUP_FILTERS + row) * (OUT_WIDTH * OUT_HEIGHT) + pixel];
}

fn load_right(group: i32, step: i32, column: i32) -> f32 {
    let kx = column % KERNEL_WIDTH;
    let ky = column / KERNEL_WIDTH % KERNEL_HEIGHT;
    let c = group * GROUP_CHANNELS + column / (KERNEL_WIDTH * KERNEL_HEIGHT);
    let ix = step % OUT_WIDTH * STRIDE_X + kx * DILATION_X - PADDING_X;
    // mutate `ky * DILATION_Y - PADDING_Y` => `ky * DILATION_Y` (conv2d: no padding)
    let iy = step / OUT_WIDTH % OUT_HEIGHT * STRIDE_Y + ky * DILATION_Y - PADDING_Y;
    let n = step / (OUT_WIDTH * OUT_HEIGHT);
    if (ix < 0 || ix >= WIDTH || iy < 0 || iy >= HEIGHT) {
        return 0.0;
    }
    return x[((n * CHANNELS + c) * HEIGHT + iy) * WIDTH + ix];
}

fn store(group: i32, part: i32, row: i32, column: i32, sum: f32) {
    // mutate `part * ELEMENTS` => `0` (conv2d: all parts in one place)
    dw[part * ELEMENTS + (group * GROUP_FILTERS + row) * COLUMNS + column] = sum;
}

@if(bias_gradient)
fn store_row_sum(group: i32, part: i32, row: i32, sum: f32) {
    db[part * FILTERS + group * GROUP_FILTERS + row] = sum;
}
