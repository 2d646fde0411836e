// dw[k,c,ky,kx] = sum over n, oy, ox of dy[n,k,oy,ox] * x[n, c, oy*sy + ky*dy - py, ox*sx + kx*dx - px]
// With `bias_gradient`: db[k] = sum over n, oy, ox of dy[n,k,oy,ox], as well.
//
// x [N, C, H, W], dy [N, K, oh, ow], dw [PARTS, K, C/groups, kh, kw], db [PARTS, K]: part p sums rows
// p * PART_ROWS and on of all N * oh. One invocation per element of dw, and then of db; rows are summed
// apart, so that long sums keep their digits.

import package::constants::{WORKGROUP, CHANNELS, HEIGHT, WIDTH, FILTERS, OUT_HEIGHT, OUT_WIDTH};
import package::constants::{FIRST_FILTER, ALL_FILTERS, PARTS};
import package::constants::{KERNEL_HEIGHT, KERNEL_WIDTH, STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X};
import package::constants::{DILATION_Y, DILATION_X, GROUP_CHANNELS, GROUP_FILTERS, ROWS, PART_ROWS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
@if(bias_gradient) import package::lib::sum::{no_terms, plus, total};
import package::bindings::{x, dy, dw, db};

const ELEMENTS: i32 = FILTERS * GROUP_CHANNELS * KERNEL_HEIGHT * KERNEL_WIDTH;

fn upstream(row: i32, k: i32, ox: i32) -> f32 {
    let plane = row / OUT_HEIGHT * ALL_FILTERS + FIRST_FILTER + k;
    return dy[(plane * OUT_HEIGHT + row % OUT_HEIGHT) * OUT_WIDTH + ox];
}

@if(bias_gradient)
fn sum_bias(id: vec3<u32>, part: i32, k: i32) {
    var sum = no_terms(id);
    for (var row = part * PART_ROWS; row < min((part + 1) * PART_ROWS, ROWS); row++) {
        var row_sum = 0.0;
        for (var ox = 0; ox < OUT_WIDTH; ox++) {
            // mutate `row_sum += upstream(row, k, ox);` => `row_sum += 1.0;` (conv2d: bias gradient)
            row_sum += upstream(row, k, ox);
        }
        sum = plus(sum, row_sum);
    }
    db[part * FILTERS + k] = total(sum);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let i = i32(index);
    @if(bias_gradient) {
        if (i >= PARTS * ELEMENTS) {
            sum_bias(id, (i - PARTS * ELEMENTS) / FILTERS, i % FILTERS);
            return;
        }
    }
    let kx = i % KERNEL_WIDTH;
    let ky = i / KERNEL_WIDTH % KERNEL_HEIGHT;
    let c = i / (KERNEL_WIDTH * KERNEL_HEIGHT) % GROUP_CHANNELS;
    let k = i / (KERNEL_WIDTH * KERNEL_HEIGHT * GROUP_CHANNELS) % FILTERS;
    let part = i / ELEMENTS;
    // mutate `k / GROUP_FILTERS * GROUP_CHANNELS + c` => `c` (conv2d: first group for all)
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
            // mutate `ix < WIDTH` => `ix < WIDTH - 1` (conv2d: last column left out)
            if (ix >= 0 && ix < WIDTH) {
                row_sum += upstream(row, k, ox)
                    * x[((n * CHANNELS + channel) * HEIGHT + iy) * WIDTH + ix];
            }
        }
        sum += row_sum;
    }
    dw[index] = sum;
}
