// y = A a + B b. One invocation per element.

import package::constants::{WORKGROUP, A, B};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{a, b, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `A * a[i] + B * b[i]` => `A * a[i]` (optimizer: second matrix dropped)
        y[i] = A * a[i] + B * b[i];
    }
}
