// dx[n,c,iy,ix] = sum over the filters k of channel c, ky, kx of w[k,ky,kx] * dy[n,k,oy,ox], for the outputs
// that meet the input there: oy*sy + ky*dy - py = iy, ox*sx + kx*dx - px = ix. Every filter sees one channel.
//
// dy [N, K, oh, ow], w [K, 1, kh, kw], dx [N, C, H, W]. One invocation RUN neighbours of a row of dx: what it
// loads of a row of dy serves all of them and all taps. RUN is a multiple of the stride, so which taps meet
// which of the neighbours is known when the shader is compiled.

import package::constants::{WORKGROUP, CHANNELS, HEIGHT, WIDTH, FILTERS, OUT_HEIGHT, OUT_WIDTH};
import package::constants::{KERNEL_HEIGHT, KERNEL_WIDTH, STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X};
import package::constants::{DILATION_Y, DILATION_X, GROUP_FILTERS, RUN, RUNS, FIRST, REACH};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{dy, weight, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let i = i32(index);
    let first_x = i % RUNS * RUN;
    let iy = i / RUNS % HEIGHT;
    let c = i / (RUNS * HEIGHT) % CHANNELS;
    let n = i / (RUNS * HEIGHT * CHANNELS);

    var sums: array<f32, RUN>;
    for (var o = 0; o < RUN; o++) {
        sums[o] = 0.0;
    }
    for (var f = 0; f < GROUP_FILTERS; f++) {
        // mutate `c * GROUP_FILTERS + f` => `c * GROUP_FILTERS` (conv2d: first filter of a channel only)
        let k = c * GROUP_FILTERS + f;
        for (var ky = 0; ky < KERNEL_HEIGHT; ky++) {
            let y = iy + PADDING_Y - ky * DILATION_Y;
            // mutate `y % STRIDE_Y != 0 || ` => `` (conv2d: rows of outputs between strides)
            if (y < 0 || y % STRIDE_Y != 0 || y / STRIDE_Y >= OUT_HEIGHT) {
                continue;
            }
            let line = ((n * FILTERS + k) * OUT_HEIGHT + y / STRIDE_Y) * OUT_WIDTH;
            // The outputs from FIRST on, counted from the one that first_x would meet at tap 0 without padding.
            var row: array<f32, REACH>;
            for (var j = 0; j < REACH; j++) {
                let ox = first_x / STRIDE_X + FIRST + j;
                row[j] = 0.0;
                if (ox >= 0 && ox < OUT_WIDTH) {
                    row[j] = dy[line + ox];
                }
            }
            for (var kx = 0; kx < KERNEL_WIDTH; kx++) {
                let w = weight[(k * KERNEL_HEIGHT + ky) * KERNEL_WIDTH + kx];
                for (var o = 0; o < RUN; o++) {
                    let x = o + PADDING_X - kx * DILATION_X;
                    // mutate `x % STRIDE_X == 0` => `x >= 0` (conv2d: columns of outputs between strides)
                    if (x % STRIDE_X == 0) {
                        sums[o] += w * row[x / STRIDE_X - FIRST];
                    }
                }
            }
        }
    }
    let first = ((n * CHANNELS + c) * HEIGHT + iy) * WIDTH + first_x;
    for (var o = 0; o < RUN; o++) {
        if (first_x + o < WIDTH) {
            dx[first + o] = sums[o];
        }
    }
}
