// y[n,k,oy,ox] = f(bias[k] + sum over ky, kx of w[k,ky,kx] * x[n, k / GROUP_FILTERS, oy*sy + ky*dy - py,
// ox*sx + kx*dx - px]), f an activation or none: every filter sees one channel.
//
// x [N, C, H, W], w [K, 1, kh, kw], y [N, K, oh, ow]. One invocation RUN neighbours of a row of y: what
// it loads of a row of x serves all of them and all taps.

import package::constants::{WORKGROUP, CHANNELS, HEIGHT, WIDTH, FILTERS, OUT_HEIGHT, OUT_WIDTH};
import package::constants::{KERNEL_HEIGHT, KERNEL_WIDTH, STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X};
import package::constants::{DILATION_Y, DILATION_X, GROUP_FILTERS, RUN, RUNS, REACH};
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
    let first_x = i % RUNS * RUN;
    let oy = i / RUNS % OUT_HEIGHT;
    let k = i / (RUNS * OUT_HEIGHT) % FILTERS;
    let n = i / (RUNS * OUT_HEIGHT * FILTERS);

    var sums: array<f32, RUN>;
    for (var o = 0; o < RUN; o++) {
        sums[o] = 0.0;
    }
    for (var ky = 0; ky < KERNEL_HEIGHT; ky++) {
        let iy = oy * STRIDE_Y + ky * DILATION_Y - PADDING_Y;
        if (iy < 0 || iy >= HEIGHT) {
            continue;
        }
        // mutate `k / GROUP_FILTERS` => `k` (conv2d: filter for channel)
        let line = ((n * CHANNELS + k / GROUP_FILTERS) * HEIGHT + iy) * WIDTH;
        var row: array<f32, REACH>;
        for (var j = 0; j < REACH; j++) {
            let ix = first_x * STRIDE_X - PADDING_X + j;
            row[j] = 0.0;
            if (ix >= 0 && ix < WIDTH) {
                row[j] = x[line + ix];
            }
        }
        for (var kx = 0; kx < KERNEL_WIDTH; kx++) {
            let w = weight[(k * KERNEL_HEIGHT + ky) * KERNEL_WIDTH + kx];
            for (var o = 0; o < RUN; o++) {
                sums[o] += w * row[o * STRIDE_X + kx * DILATION_X];
            }
        }
    }
    @if(bias) let start = bias[k];
    @if(!bias) let start = 0.0;
    let first = ((n * FILTERS + k) * OUT_HEIGHT + oy) * OUT_WIDTH + first_x;
    for (var o = 0; o < RUN; o++) {
        if (first_x + o < OUT_WIDTH) {
            // mutate `start + sums[o]` => `sums[o]` (conv2d: dropped bias)
            y[first + o] = epilogue(start + sums[o]);
        }
    }
}
