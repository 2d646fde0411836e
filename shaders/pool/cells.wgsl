// Which windows reach into a cell of the padded image: window o covers the rows o * STRIDE to
// o * STRIDE + EXTENT - 1, so the first of a cell that starts at row r is floor((r - EXTENT) / STRIDE)
// + 1. It wraps around below 0, which no output size passes.

import package::constants::{CELL_Y, CELL_X, STRIDE_Y, STRIDE_X, EXTENT_Y, EXTENT_X};

fn first_window_y(cell: u32) -> u32 {
    return first_window(cell * CELL_Y, EXTENT_Y, STRIDE_Y);
}

fn first_window_x(cell: u32) -> u32 {
    return first_window(cell * CELL_X, EXTENT_X, STRIDE_X);
}

fn first_window(start: u32, extent: u32, stride: u32) -> u32 {
    // extent * stride more under the division keeps it positive: `extent` more in the quotient.
    // mutate `+ 1u - extent` => `- extent` (max_pool2d,avg_pool2d: one window too early)
    return (start + extent * stride - extent) / stride + 1u - extent;
}
