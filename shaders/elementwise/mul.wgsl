// y[i] = a[i] * b[i]. One invocation per element, or per four.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{a, b, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `* b[i]` => `* a[i]` (mul: first factor twice)
        y[i] = a[i] * b[i];
    }
}
