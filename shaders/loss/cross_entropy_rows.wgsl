// losses[n] = (-(1-s) log p_target - s/C sum of log p, 1), or (0, 0) for a row that does not count;
// sums[n] = (m, log of the sum of exp(z - m)), m the largest logit.
//
// All logits are taken less m, so logits of 90 neither overflow nor cancel. One of -infinity is a class that has no
// probability; only smoothing asks for its logarithm. logits [N, CLASSES], targets [N], losses and sums [N] pairs. One
// invocation per row.

import package::constants::{WORKGROUP, CLASSES, SMOOTHING};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{logits, targets, losses, sums};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = linear_index(id);
    if (n >= arguments.count) {
        return;
    }
    let first = n * CLASSES;
    var largest = logits[first];
    for (var c = 1u; c < CLASSES; c++) {
        largest = max(largest, logits[first + c]);
    }
    var exponentials = no_terms(id);
    var all = no_terms(id);
    for (var c = 0u; c < CLASSES; c++) {
        // mutate `- largest;` => `;` (cross_entropy: exponentials overflow)
        let z = logits[first + c] - largest;
        exponentials = plus(exponentials, exp(z));
        all = plus(all, z);
    }
    let log_sum = log(total(exponentials));
    sums[n] = vec2(largest, log_sum);
    let label = targets[n];
    if (label < CLASSES) {
        let own = logits[first + label] - largest;
        var loss = log_sum;
        if (SMOOTHING < 1.0) {
            // mutate `(1.0 - SMOOTHING) * own` => `own` (cross_entropy: smoothing of the target)
            loss -= (1.0 - SMOOTHING) * own;
        }
        if (SMOOTHING > 0.0) {
            loss -= SMOOTHING * (total(all) / f32(CLASSES));
        }
        losses[n] = vec2(loss, 1.0);
    } else {
        // mutate `losses[n] = vec2(0.0);` => `losses[n] = vec2(0.0, 1.0);` (cross_entropy: ignored rows counted)
        losses[n] = vec2(0.0);
    }
}
