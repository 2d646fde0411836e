// y[i] = f(a[i] + b[i]), f an activation or none. One invocation per element, or per four.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::activation::epilogue::epilogue_each;
import package::bindings::{a, b, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `+ b[i]` => `- b[i]` (add: wrong sign)
        y[i] = epilogue_each(a[i] + b[i]);
    }
}
