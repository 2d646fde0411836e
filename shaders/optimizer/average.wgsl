// e := (1 - share) * e + share * w, in place; w where the share is 1, whatever e was. One invocation per element.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{average, weights, share};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `(1.0 - share[0]) * average[i]` => `average[i]` (optimizer: old average not decayed)
        let kept = (1.0 - share[0]) * average[i];
        // mutate `select(kept, 0.0, share[0] == 1.0)` => `kept` (optimizer: an infinity kept by a share of nothing)
        average[i] = select(kept, 0.0, share[0] == 1.0) + share[0] * weights[i];
    }
}
