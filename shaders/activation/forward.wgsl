// y[i] = f(x[i]). One invocation per element.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::activation::functions::activate;
import package::bindings::{x, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `activate(x[i])` => `activate(x[i] + 1e-3)` (relu: shifted input)
        y[i] = activate(x[i]);
    }
}
