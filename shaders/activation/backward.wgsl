// dx[i] = f'(seen[i]) * dy[i], seen being x or y as the activation needs. One invocation per element, or per four.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::element::Element;
import package::lib::grid::linear_index;
import package::activation::functions::gradient_each;
import package::bindings::{seen, dy, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `, dy[i])` => `, Element(1.0))` (relu: upstream gradient ignored)
        dx[i] = gradient_each(seen[i], dy[i]);
    }
}
