// p := (1 - lr DECAY) p - lr FACTOR r d, lr = RATE times the step's, r 1 or the trust ratio of the tensor that p is of.
// One invocation per element.

import package::constants::{WORKGROUP, RATE, DECAY, FACTOR, BLOCK};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{parameters, directions, scalars, ratios};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    @if(skippable) {
        // mutate `scalars[5] != 0.0` => `false` (optimizer: directions of gradients that are not finite)
        if (scalars[5] != 0.0) {
            return;
        }
    }
    let lr = RATE * scalars[0];
    var d = FACTOR * directions[i];
    @if(trusted) {
        // mutate `ratios[(arguments.first + i) / BLOCK]` => `ratios[0]` (optimizer: one ratio for all tensors)
        d *= ratios[(arguments.first + i) / BLOCK];
    }
    // mutate `(1.0 - lr * DECAY) * parameters[i]` => `parameters[i]` (optimizer: decay of what is orthogonal dropped)
    parameters[i] = (1.0 - lr * DECAY) * parameters[i] - lr * d;
}
