// Operands of the tile body for dw = dy * x^T: rows are a group's filters, columns (c, ky, kx), steps
// output pixels (n, oy, ox), of which each part sums a run. With `bias_gradient`, the sum of each row of dy is
// db.

import package::constants::{CHANNELS, HEIGHT, WIDTH, FIRST_FILTER, ALL_FILTERS, OUT_HEIGHT, OUT_WIDTH, KERNEL_HEIGHT, KERNEL_WIDTH};
import package::constants::{STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X, DILATION_Y, DILATION_X};
import package::constants::{FILTERS, GROUP_CHANNELS, GROUP_FILTERS, COLUMNS, ELEMENTS};
import package::conv::place::{Place, inside};
import package::bindings::{x, dy, dw, db};

const PIXELS: u32 = u32(OUT_HEIGHT * OUT_WIDTH);
const TAPS: u32 = u32(KERNEL_HEIGHT * KERNEL_WIDTH);

const LEFT_RUNS_ALONG_STEPS: bool = PIXELS > 1;
const RIGHT_RUNS_ALONG_STEPS: bool = PIXELS > 1;
const RESULT_RUNS_ALONG_ROWS: bool = false;

fn left_row(group: u32, row: u32) -> i32 {
    return (FIRST_FILTER + i32(group) * GROUP_FILTERS + i32(row)) * i32(PIXELS);
}

fn left_step(step: u32) -> i32 {
    return i32(step / PIXELS) * ALL_FILTERS * i32(PIXELS) + i32(step % PIXELS);
}

fn load_left(index: i32) -> f32 {
    return dy[index];
}

fn right_column(group: u32, column: u32) -> Place {
    let c = i32(group) * GROUP_CHANNELS + i32(column / TAPS);
    let dx = i32(column % u32(KERNEL_WIDTH)) * DILATION_X - PADDING_X;
    // mutate `DILATION_Y - PADDING_Y` => `DILATION_Y` (conv2d: no padding)
    let dy = i32(column % TAPS / u32(KERNEL_WIDTH)) * DILATION_Y - PADDING_Y;
    return Place((c * HEIGHT + dy) * WIDTH + dx, vec2(dx, dy));
}

fn right_step(step: u32) -> Place {
    let n = i32(step / PIXELS);
    let ix = i32(step % u32(OUT_WIDTH)) * STRIDE_X;
    let iy = i32(step % PIXELS / u32(OUT_WIDTH)) * STRIDE_Y;
    return Place((n * CHANNELS * HEIGHT + iy) * WIDTH + ix, vec2(ix, iy));
}

fn meets(place: Place) -> bool {
    // Without padding every window lies in its image.
    let padded = PADDING_X + PADDING_Y > 0;
    return !padded | inside(place, vec2(WIDTH, HEIGHT));
}

fn load_right(index: i32) -> f32 {
    return x[index];
}

fn result_column(group: u32, part: u32, column: u32) -> i32 {
    // mutate `i32(part) * ELEMENTS` => `0` (conv2d: all parts in one place)
    return i32(part) * ELEMENTS + i32(column);
}

fn store(column: i32, group: u32, row: u32, sum: f32) {
    dw[column + (i32(group) * GROUP_FILTERS + i32(row)) * i32(COLUMNS)] = sum;
}

@if(bias_gradient)
fn store_row_sum(group: u32, part: u32, row: u32, sum: f32) {
    db[i32(part) * FILTERS + i32(group) * GROUP_FILTERS + i32(row)] = sum;
}
