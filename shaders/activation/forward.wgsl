// y[i] = f(x[i]). One invocation per element, or per four.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::activation::functions::activate_each;
import package::bindings::{x, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `activate_each(x[i])` => `activate_each(x[i] + 1e-3)` (relu: shifted input)
        y[i] = activate_each(x[i]);
    }
}
