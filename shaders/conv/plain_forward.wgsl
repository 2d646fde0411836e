// y[n,k,oy,ox] = f(bias[k] + sum over c, ky, kx of w[k,c,ky,kx] * x[n, c, oy*sy + ky*dy - py, ox*sx + kx*dx - px]),
// f an activation or none
//
// x [N, C, H, W], w [K, C/groups, kh, kw], y [N, K, oh, ow]; zeros outside of x. One invocation an
// element of y's FILTERS filters from FIRST_FILTER on.

import package::constants::{WORKGROUP, CHANNELS, HEIGHT, WIDTH, FILTERS, FIRST_FILTER, ALL_FILTERS, OUT_HEIGHT, OUT_WIDTH};
import package::constants::{KERNEL_HEIGHT, KERNEL_WIDTH, STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X};
import package::constants::{DILATION_Y, DILATION_X, GROUP_CHANNELS, GROUP_FILTERS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::activation::epilogue::epilogue;
import package::bindings::{x, weight, bias, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let i = i32(index);
    let ox = i % OUT_WIDTH;
    let oy = i / OUT_WIDTH % OUT_HEIGHT;
    let k = i / (OUT_WIDTH * OUT_HEIGHT) % FILTERS;
    let n = i / (OUT_WIDTH * OUT_HEIGHT * FILTERS);
    let first_channel = k / GROUP_FILTERS * GROUP_CHANNELS;

    var sum = 0.0;
    for (var c = 0; c < GROUP_CHANNELS; c++) {
        var row_sum = 0.0;
        // mutate `ky < KERNEL_HEIGHT` => `ky < KERNEL_HEIGHT - 1` (conv2d: last row of taps left out)
        for (var ky = 0; ky < KERNEL_HEIGHT; ky++) {
            // mutate `oy * STRIDE_Y` => `oy * STRIDE_X` (conv2d: horizontal for vertical stride)
            let iy = oy * STRIDE_Y + ky * DILATION_Y - PADDING_Y;
            if (iy < 0 || iy >= HEIGHT) {
                continue;
            }
            for (var kx = 0; kx < KERNEL_WIDTH; kx++) {
                let ix = ox * STRIDE_X + kx * DILATION_X - PADDING_X;
                if (ix >= 0 && ix < WIDTH) {
                    let w = weight[((k * GROUP_CHANNELS + c) * KERNEL_HEIGHT + ky) * KERNEL_WIDTH + kx];
                    row_sum += w * x[((n * CHANNELS + first_channel + c) * HEIGHT + iy) * WIDTH + ix];
                }
            }
        }
        sum += row_sum;
    }
    @if(bias) {
        // mutate `sum += bias[k]` => `sum += 0.0` (conv2d: dropped bias)
        sum += bias[k];
    }
    y[((n * ALL_FILTERS + FIRST_FILTER + k) * OUT_HEIGHT + oy) * OUT_WIDTH + ox] = epilogue(sum);
}
