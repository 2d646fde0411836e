// losses[n] = (-sum of q_c log p_c, 1), shares[n] = sum of q_c, q_c = w_c ((1-s) t_c + s/C);
// sums[n] = (m, log of the sum of exp(z - m)), m the largest logit. Where classes have no weights, w is 1.
//
// A class of probability 0 whose logit is -infinity makes the loss NaN, as in PyTorch. logits and targets [N, CLASSES],
// weights [CLASSES], losses and sums [N] pairs, shares [N]. One invocation per row.

import package::constants::{WORKGROUP, CLASSES, SMOOTHING};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::logarithm;
import package::lib::sum::{no_terms, plus, total};
import package::loss::log_sum_exp::{largest_logit, sum_of_exponentials};
import package::bindings::{logits, targets, weights, losses, sums, shares};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = linear_index(id);
    if (n >= arguments.count) {
        return;
    }
    let first = n * CLASSES;
    let largest = largest_logit(first);
    let log_sum = logarithm(sum_of_exponentials(id, first, largest));
    var loss = no_terms(id);
    var share = no_terms(id);
    for (var c = 0u; c < CLASSES; c++) {
        // mutate `(1.0 - SMOOTHING) * targets` => `targets` (soft_cross_entropy: smoothing of the target)
        var q = (1.0 - SMOOTHING) * targets[first + c] + SMOOTHING / f32(CLASSES);
        // mutate `q *= weights[c];` => `` (soft_cross_entropy: weights dropped)
        @if(weighted) { q *= weights[c]; }
        loss = plus(loss, q * (log_sum - (logits[first + c] - largest)));
        share = plus(share, q);
    }
    sums[n] = vec2(largest, log_sum);
    losses[n] = vec2(total(loss), 1.0);
    shares[n] = total(share);
}
