// y = exp(x - m) / s, or x - m - log s, with (m, s) of x's row from row_sums.wgsl
//
// x and y [outer, SIZE, INNER], sums [outer * INNER, 2]. One invocation per element.

import package::constants::{WORKGROUP, SIZE, INNER};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::exponential;
import package::bindings::{x, sums, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    // mutate `* INNER + i % INNER` => `* INNER` (softmax: first row of a block for all)
    let r = i / (SIZE * INNER) * INNER + i % INNER;
    let z = x[i] - sums[2u * r];
    // mutate `let sum = sums[2u * r + 1u]` => `let sum = sums[2u * r]` (softmax: largest for sum)
    let sum = sums[2u * r + 1u];
    @if(log) { y[i] = z - sum; }
    @else { y[i] = exponential(z) / sum; }
}
