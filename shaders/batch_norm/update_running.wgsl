// running_mean += MOMENTUM * (mean - running_mean), running_var += MOMENTUM * (correction * var -
// running_var), in place; what would not be finite stays as it was. One invocation per channel.

import package::constants::{WORKGROUP, MOMENTUM};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::is_finite;
import package::bindings::{mean, variance, running_mean, running_var};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let c = linear_index(id);
    if (c >= arguments.count) {
        return;
    }
    // mutate `(1.0 - MOMENTUM) * running_mean[c]` => `running_mean[c]` (batch_norm: old mean not decayed)
    let new_mean = (1.0 - MOMENTUM) * running_mean[c] + MOMENTUM * mean[c];
    // mutate `arguments.correction * variance[c]` => `variance[c]` (batch_norm: biased for unbiased variance)
    let new_var = (1.0 - MOMENTUM) * running_var[c] + MOMENTUM * (arguments.correction * variance[c]);
    // mutate `select(running_mean[c], new_mean, is_finite(new_mean))` => `new_mean` (batch_norm: a mean that is not finite kept)
    running_mean[c] = select(running_mean[c], new_mean, is_finite(new_mean));
    // mutate `select(running_var[c], new_var, is_finite(new_var))` => `new_var` (batch_norm: a variance that is not finite kept)
    running_var[c] = select(running_var[c], new_var, is_finite(new_var));
}
