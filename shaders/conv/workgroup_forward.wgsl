// Operands of the tile body for y = f(w * x + bias), f an activation or none: rows are a group's filters, columns output pixels
// (n, oy, ox), steps (c, ky, kx).

import package::constants::{CHANNELS, HEIGHT, WIDTH, FIRST_FILTER, ALL_FILTERS, OUT_HEIGHT, OUT_WIDTH, KERNEL_HEIGHT, KERNEL_WIDTH};
import package::constants::{STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X, DILATION_Y, DILATION_X};
import package::constants::{GROUP_CHANNELS, GROUP_FILTERS, DEPTH};
import package::activation::epilogue::epilogue;
import package::conv::place::{Place, inside};
import package::bindings::{x, weight, bias, y};

const PIXELS: u32 = u32(OUT_HEIGHT * OUT_WIDTH);
const TAPS: u32 = u32(KERNEL_HEIGHT * KERNEL_WIDTH);

const LEFT_RUNS_ALONG_STEPS: bool = true;
const RIGHT_RUNS_ALONG_STEPS: bool = PIXELS == 1;
const RESULT_RUNS_ALONG_ROWS: bool = PIXELS == 1;

fn left_row(group: u32, row: u32) -> i32 {
    return (i32(group) * GROUP_FILTERS + i32(row)) * DEPTH;
}

fn left_step(step: u32) -> i32 {
    return i32(step);
}

fn load_left(index: i32) -> f32 {
    return weight[index];
}

fn right_column(group: u32, column: u32) -> Place {
    let n = i32(column / PIXELS);
    let ox = i32(column % u32(OUT_WIDTH));
    let oy = i32(column % PIXELS / u32(OUT_WIDTH));
    let ix = ox * STRIDE_X - PADDING_X;
    let iy = oy * STRIDE_Y - PADDING_Y;
    return Place(((n * CHANNELS + i32(group) * GROUP_CHANNELS) * HEIGHT + iy) * WIDTH + ix, vec2(ix, iy));
}

fn right_step(step: u32) -> Place {
    let c = i32(step / TAPS);
    let dx = i32(step % u32(KERNEL_WIDTH)) * DILATION_X;
    let dy = i32(step % TAPS / u32(KERNEL_WIDTH)) * DILATION_Y;
    return Place((c * HEIGHT + dy) * WIDTH + dx, vec2(dx, dy));
}

fn meets(place: Place) -> bool {
    // Without padding every window lies in its image.
    let padded = PADDING_X + PADDING_Y > 0;
    // mutate `vec2(WIDTH, HEIGHT)` => `vec2(WIDTH + 1, HEIGHT)` (conv2d: one column beyond the image)
    return !padded | inside(place, vec2(WIDTH, HEIGHT));
}

fn load_right(index: i32) -> f32 {
    return x[index];
}

fn result_column(group: u32, part: u32, column: u32) -> i32 {
    return i32(column / PIXELS) * ALL_FILTERS * i32(PIXELS) + i32(column % PIXELS);
}

fn store(column: i32, group: u32, row: u32, sum: f32) {
    let k = i32(group) * GROUP_FILTERS + i32(row);
    // mutate `sum + bias[k]` => `sum` (conv2d: dropped bias)
    @if(bias) let value = sum + bias[k];
    @if(!bias) let value = sum;
    y[column + (FIRST_FILTER + k) * i32(PIXELS)] = epilogue(value);
}
