// y[i] = VALUE. One invocation per element.

import package::constants::{WORKGROUP, VALUE};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::y;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    // mutate `i < arguments.count` => `i + 1 < arguments.count` (zero_pad2d: last element not written)
    if (i < arguments.count) {
        y[i] = VALUE;
    }
}
