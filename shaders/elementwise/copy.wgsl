// y[i] = x[i]. One invocation per element, or per four.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{x, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    // mutate `i < arguments.count` => `i + 1 < arguments.count` (optimizer: last element not written)
    if (i < arguments.count) {
        y[i] = x[i];
    }
}
