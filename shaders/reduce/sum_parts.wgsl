// y[i] = sum over p of x[i * STRIDE + p * PART_STRIDE], in the order of p. One invocation an element
// of y.

import package::constants::{WORKGROUP, STRIDE, PART_STRIDE, PARTS};
import package::arguments::arguments;
import package::lib::grid::linear_index;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    var sum = 0.0;
    for (var p = 0u; p < PARTS; p++) {
        sum += x[i * STRIDE + p * PART_STRIDE];
    }
    y[i] = sum;
}
