// dx[n,c,iy,ix] = sum over k, ky, kx of w[k,c,ky,kx] * dy[n,k,oy,ox], for the outputs that meet the
// input there: oy*sy + ky*dy - py = iy, ox*sx + kx*dx - px = ix
//
// dy [N, K, oh, ow], w [K, C/groups, kh, kw], dx [N, C, H, W]. One invocation per element of dx.

import package::constants::{WORKGROUP, CHANNELS, HEIGHT, WIDTH, FIRST_FILTER, ALL_FILTERS, OUT_HEIGHT, OUT_WIDTH};
import package::constants::{KERNEL_HEIGHT, KERNEL_WIDTH, STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X};
import package::constants::{DILATION_Y, DILATION_X, GROUP_CHANNELS, GROUP_FILTERS};
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
    let ix = i % WIDTH;
    let iy = i / WIDTH % HEIGHT;
    let channel = i / (WIDTH * HEIGHT) % CHANNELS;
    let n = i / (WIDTH * HEIGHT * CHANNELS);
    let group = channel / GROUP_CHANNELS;
    let c = channel % GROUP_CHANNELS;

    var sum = 0.0;
    for (var f = 0; f < GROUP_FILTERS; f++) {
        let k = group * GROUP_FILTERS + f;
        var row_sum = 0.0;
        for (var ky = 0; ky < KERNEL_HEIGHT; ky++) {
            let y = iy + PADDING_Y - ky * DILATION_Y;
            // mutate `y % STRIDE_Y != 0 ||` => `` (conv2d: outputs between strides)
            if (y < 0 || y % STRIDE_Y != 0 || y / STRIDE_Y >= OUT_HEIGHT) {
                continue;
            }
            for (var kx = 0; kx < KERNEL_WIDTH; kx++) {
                // mutate `kx * DILATION_X` => `kx` (conv2d: no dilation)
                let x = ix + PADDING_X - kx * DILATION_X;
                if (x >= 0 && x % STRIDE_X == 0 && x / STRIDE_X < OUT_WIDTH) {
                    let w = weight[((k * GROUP_CHANNELS + c) * KERNEL_HEIGHT + ky) * KERNEL_WIDTH + kx];
                    row_sum += w * dy[((n * ALL_FILTERS + FIRST_FILTER + k) * OUT_HEIGHT + y / STRIDE_Y) * OUT_WIDTH + x / STRIDE_X];
                }
            }
        }
        sum += row_sum;
    }
    dx[index] = sum;
}
