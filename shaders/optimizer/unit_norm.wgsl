// y = x / max(norm, EPS), norm = sqrt(square). One invocation per element.

import package::constants::{WORKGROUP, EPS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::unless_nan;
import package::bindings::{x, square, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        let norm = sqrt(square[0]);
        // mutate `x[i] / unless_nan` => `x[i] * unless_nan` (optimizer: times the norm)
        y[i] = x[i] / unless_nan(norm, max(norm, EPS));
    }
}
