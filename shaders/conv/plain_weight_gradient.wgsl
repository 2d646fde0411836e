// dw[k,c,ky,kx] = sum over n, oy, ox of dy[n,k,oy,ox] * x[n, c, oy*sy + ky*dy - py, ox*sx + kx*dx - px]
//
// x [N, C, H, W], dy [N, K, oh, ow], dw [parts, K, C/groups, kh, kw]: part p sums rows p * PART_ROWS
// and on of all N * oh. One invocation an element of dw; rows are summed apart, so that long sums keep
// their digits.

import package::constants::{WORKGROUP, CHANNELS, HEIGHT, WIDTH, FILTERS, OUT_HEIGHT, OUT_WIDTH};
import package::constants::{FIRST_FILTER, ALL_FILTERS};
import package::constants::{KERNEL_HEIGHT, KERNEL_WIDTH, STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X};
import package::constants::{DILATION_Y, DILATION_X, GROUP_CHANNELS, GROUP_FILTERS, ROWS, PART_ROWS};
import package::arguments::arguments;
import package::lib::grid::linear_index;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let i = i32(index);
    let kx = i % KERNEL_WIDTH;
    let ky = i / KERNEL_WIDTH % KERNEL_HEIGHT;
    let c = i / (KERNEL_WIDTH * KERNEL_HEIGHT) % GROUP_CHANNELS;
    let k = i / (KERNEL_WIDTH * KERNEL_HEIGHT * GROUP_CHANNELS) % FILTERS;
    let part = i / (KERNEL_WIDTH * KERNEL_HEIGHT * GROUP_CHANNELS * FILTERS);
    let channel = k / GROUP_FILTERS * GROUP_CHANNELS + c;

    var sum = 0.0;
    for (var row = part * PART_ROWS; row < min((part + 1) * PART_ROWS, ROWS); row++) {
        let n = row / OUT_HEIGHT;
        let oy = row % OUT_HEIGHT;
        let iy = oy * STRIDE_Y + ky * DILATION_Y - PADDING_Y;
        if (iy < 0 || iy >= HEIGHT) {
            continue;
        }
        var row_sum = 0.0;
        for (var ox = 0; ox < OUT_WIDTH; ox++) {
            let ix = ox * STRIDE_X + kx * DILATION_X - PADDING_X;
            if (ix >= 0 && ix < WIDTH) {
                row_sum += dy[((n * ALL_FILTERS + FIRST_FILTER + k) * OUT_HEIGHT + oy) * OUT_WIDTH + ox]
                    * x[((n * CHANNELS + channel) * HEIGHT + iy) * WIDTH + ix];
            }
        }
        sum += row_sum;
    }
    dw[index] = sum;
}
