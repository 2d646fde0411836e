// y[i] = a[i] * b[i]. One invocation an element.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `* b[i]` => `* a[i]` (mul: first factor twice)
        y[i] = a[i] * b[i];
    }
}
