// The number a window's sum is divided by: its area, clipped to the padded image or to the image.

import package::constants::{HEIGHT, WIDTH, KERNEL_Y, KERNEL_X, STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X};

fn area(oy: u32, ox: u32) -> f32 {
    return f32(clipped(oy * STRIDE_Y, KERNEL_Y, PADDING_Y, HEIGHT) * clipped(ox * STRIDE_X, KERNEL_X, PADDING_X, WIDTH));
}

// Length of `start` .. `start + kernel`, in coordinates of the padded image.
fn clipped(start: u32, kernel: u32, padding: u32, size: u32) -> u32 {
    // mutate `size + 2u * padding` => `size + padding` (avg_pool2d: padding counted once)
    @if(count_include_pad) { return min(start + kernel, size + 2u * padding) - start; }
    // mutate `max(start, padding)` => `start` (avg_pool2d: padding before the image counted)
    @else { return min(start + kernel, size + padding) - max(start, padding); }
}
