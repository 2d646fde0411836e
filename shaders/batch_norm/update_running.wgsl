// running_mean += MOMENTUM * (mean - running_mean), running_var += MOMENTUM * (correction * var -
// running_var), in place. One invocation per channel.

import package::constants::{WORKGROUP, MOMENTUM};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{mean, variance, running_mean, running_var};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let c = linear_index(id);
    if (c >= arguments.count) {
        return;
    }
    // mutate `(1.0 - MOMENTUM) * running_mean[c]` => `running_mean[c]` (batch_norm: old mean not decayed)
    running_mean[c] = (1.0 - MOMENTUM) * running_mean[c] + MOMENTUM * mean[c];
    // mutate `arguments.correction * variance[c]` => `variance[c]` (batch_norm: biased for unbiased variance)
    running_var[c] = (1.0 - MOMENTUM) * running_var[c] + MOMENTUM * (arguments.correction * variance[c]);
}
