// dw[p,k,ky,kx] = sum over rows (n, oy) of part p and ox of dy[n,k,oy,ox] * x[n, k / GROUP_FILTERS,
// oy*sy + ky*dy - py, ox*sx + kx*dx - px]
// With `bias_gradient`: db[p,k] = sum of the same dy[n,k,oy,ox], as well.
//
// x [N, C, H, W], dy [N, K, oh, ow], dw [parts, K, kh, kw], db [parts, K]: part p sums rows p * PART_ROWS and on of all
// N * oh. One invocation all taps of a filter and a part: each dy is loaded once for all of them.

import package::constants::{WORKGROUP, CHANNELS, HEIGHT, WIDTH, FILTERS, OUT_HEIGHT, OUT_WIDTH};
import package::constants::{KERNEL_HEIGHT, KERNEL_WIDTH, STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X};
import package::constants::{DILATION_Y, DILATION_X, GROUP_FILTERS, ROWS, PART_ROWS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
@if(bias_gradient) import package::lib::sum::{no_terms, plus, total};
import package::bindings::{x, dy, dw, db};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let k = i32(index) % FILTERS;
    let part = i32(index) / FILTERS;
    var sums: array<array<f32, KERNEL_WIDTH>, KERNEL_HEIGHT>;
    for (var ky = 0; ky < KERNEL_HEIGHT; ky++) {
        for (var kx = 0; kx < KERNEL_WIDTH; kx++) {
            sums[ky][kx] = 0.0;
        }
    }
    @if(bias_gradient) var gradients = no_terms(id);
    // mutate `(part + 1) * PART_ROWS, ROWS` => `(part + 1) * PART_ROWS - 1, ROWS` (conv2d: last row of each part left out)
    for (var row = part * PART_ROWS; row < min((part + 1) * PART_ROWS, ROWS); row++) {
        let n = row / OUT_HEIGHT;
        let oy = row % OUT_HEIGHT;
        let plane = (n * CHANNELS + k / GROUP_FILTERS) * HEIGHT;
        for (var ox = 0; ox < OUT_WIDTH; ox++) {
            let gradient = dy[((n * FILTERS + k) * OUT_HEIGHT + oy) * OUT_WIDTH + ox];
            // mutate `plus(gradients, gradient)` => `plus(no_terms(id), gradient)` (conv2d: bias gradient not summed)
            @if(bias_gradient) gradients = plus(gradients, gradient);
            for (var ky = 0; ky < KERNEL_HEIGHT; ky++) {
                // mutate `ky * DILATION_Y - PADDING_Y` => `ky * DILATION_Y - PADDING_X` (conv2d: horizontal for vertical padding)
                let iy = oy * STRIDE_Y + ky * DILATION_Y - PADDING_Y;
                for (var kx = 0; kx < KERNEL_WIDTH; kx++) {
                    let ix = ox * STRIDE_X + kx * DILATION_X - PADDING_X;
                    if (iy >= 0 && iy < HEIGHT && ix >= 0 && ix < WIDTH) {
                        sums[ky][kx] += gradient * x[(plane + iy) * WIDTH + ix];
                    }
                }
            }
        }
    }
    @if(bias_gradient) db[part * FILTERS + k] = total(gradients);
    let first = (part * FILTERS + k) * (KERNEL_HEIGHT * KERNEL_WIDTH);
    for (var ky = 0; ky < KERNEL_HEIGHT; ky++) {
        for (var kx = 0; kx < KERNEL_WIDTH; kx++) {
            dw[first + ky * KERNEL_WIDTH + kx] = sums[ky][kx];
        }
    }
}
