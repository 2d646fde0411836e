// y[i] = FACTOR * x[i]. One invocation per element, or per four.

import package::constants::{WORKGROUP, FACTOR};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{x, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `FACTOR * x[i]` => `x[i]` (scale: factor dropped)
        y[i] = FACTOR * x[i];
    }
}
