// terms = dy x / s^(BETA+1): what each element adds to the gradients of the channels in its sum
//
// All tensors [N, CHANNELS, INNER]. One invocation per element.

import package::constants::{WORKGROUP, BETA};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::unless_nan;
import package::bindings::{x, s, dy, terms};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `-BETA - 1.0` => `-BETA` (local_response_norm: wrong power)
        terms[i] = dy[i] * x[i] * unless_nan(s[i], pow(s[i], -BETA - 1.0));
    }
}
