// As depthwise_weight_gradient.wgsl, by a workgroup for each filter and part: invocation t has the pixels t, t + WORKGROUP, ...
// of the part, so that neighbours load neighbours, and the sums of all are added tap by tap in the order of t.

import package::constants::{WORKGROUP, CHANNELS, HEIGHT, WIDTH, FILTERS, OUT_HEIGHT, OUT_WIDTH};
import package::constants::{KERNEL_HEIGHT, KERNEL_WIDTH, STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X};
import package::constants::{DILATION_Y, DILATION_X, GROUP_FILTERS, ROWS, PART_ROWS};
import package::arguments::arguments;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{x, dy, dw, db};

const TAPS: u32 = u32(KERNEL_HEIGHT * KERNEL_WIDTH);
// The taps and the bias.
const SUMS: u32 = TAPS + 1;
// One more than there are, so that those who add up different taps read different banks.
const PITCH: u32 = WORKGROUP + 1;

var<workgroup> terms: array<f32, SUMS * PITCH>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let index = id.y * (arguments.grid_width / WORKGROUP) + id.x;
    if (index >= arguments.count / WORKGROUP) {
        return;
    }
    let k = i32(index) % FILTERS;
    let part = i32(index) / FILTERS;
    var sums: array<f32, TAPS>;
    for (var tap = 0u; tap < TAPS; tap++) {
        sums[tap] = 0.0;
    }
    @if(bias_gradient) var gradients = no_terms(id);
    let first = part * PART_ROWS;
    // mutate `first + PART_ROWS, ROWS` => `first + PART_ROWS - 1, ROWS` (conv2d: last row of each part left out)
    let end = u32(min(first + PART_ROWS, ROWS) * OUT_WIDTH);
    // mutate `OUT_WIDTH) + t` => `OUT_WIDTH)` (conv2d: each invocation the first pixels)
    for (var pixel = u32(first * OUT_WIDTH) + t; pixel < end; pixel += WORKGROUP) {
        let n = i32(pixel / u32(OUT_WIDTH * OUT_HEIGHT));
        let oy = i32(pixel / u32(OUT_WIDTH) % u32(OUT_HEIGHT));
        let ox = i32(pixel % u32(OUT_WIDTH));
        let gradient = dy[((n * FILTERS + k) * OUT_HEIGHT + oy) * OUT_WIDTH + ox];
        // mutate `plus(gradients, gradient)` => `plus(no_terms(id), gradient)` (conv2d: bias gradient not summed)
        @if(bias_gradient) gradients = plus(gradients, gradient);
        let plane = (n * CHANNELS + k / GROUP_FILTERS) * HEIGHT;
        for (var ky = 0; ky < KERNEL_HEIGHT; ky++) {
            // mutate `ky * DILATION_Y - PADDING_Y` => `ky * DILATION_Y - PADDING_X` (conv2d: horizontal for vertical padding)
            let iy = oy * STRIDE_Y + ky * DILATION_Y - PADDING_Y;
            for (var kx = 0; kx < KERNEL_WIDTH; kx++) {
                let ix = ox * STRIDE_X + kx * DILATION_X - PADDING_X;
                let inside = (u32(iy) < u32(HEIGHT)) & (u32(ix) < u32(WIDTH));
                let product = gradient * x[select(0, (plane + iy) * WIDTH + ix, inside)];
                sums[ky * KERNEL_WIDTH + kx] += select(0.0, product, inside);
            }
        }
    }
    for (var tap = 0u; tap < TAPS; tap++) {
        terms[tap * PITCH + t] = sums[tap];
    }
    @if(bias_gradient) terms[TAPS * PITCH + t] = total(gradients);
    workgroupBarrier();
    for (var s = t; s < SUMS; s += WORKGROUP) {
        var sum = no_terms(id);
        // mutate `other < WORKGROUP` => `other < WORKGROUP - 1u` (conv2d: last invocation left out)
        for (var other = 0u; other < WORKGROUP; other++) {
            sum = plus(sum, terms[s * PITCH + other]);
        }
        let place = part * FILTERS + k;
        if (s < TAPS) {
            dw[u32(place) * TAPS + s] = total(sum);
        }
        @if(bias_gradient) {
            if (s == TAPS) {
                db[place] = total(sum);
            }
        }
    }
}
