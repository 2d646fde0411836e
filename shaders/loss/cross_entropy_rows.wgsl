// losses[n] = (-(1-s) w_target log p_target - s/C sum of w log p, 1), or (0, 0) for a row that does not count;
// sums[n] = (m, log of the sum of exp(z - m)), m the largest logit. Where classes have no weights, w is 1; where they
// have, row_weights[n] = w_target, and shares[n] = (1-s) w_target + s/C sum of w, 0 for a row that does not count.
//
// A logit of -infinity is a class that has no probability; only smoothing asks for its logarithm. logits [N, CLASSES],
// targets, row_weights and shares [N], weights [CLASSES], losses and sums [N] pairs. One invocation per row.

import package::constants::{WORKGROUP, CLASSES, SMOOTHING};
@if(ignoring) import package::constants::IGNORED;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::logarithm;
import package::lib::sum::{no_terms, plus, total};
import package::loss::log_sum_exp::{largest_logit, sum_of_exponentials};
import package::bindings::{logits, targets, losses, sums, weights, row_weights, shares};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = linear_index(id);
    if (n >= arguments.count) {
        return;
    }
    let first = n * CLASSES;
    let largest = largest_logit(first);
    let log_sum = logarithm(sum_of_exponentials(id, first, largest));
    sums[n] = vec2(largest, log_sum);
    let label = targets[n];
    var counts = label < CLASSES;
    // mutate `label != IGNORED` => `true` (cross_entropy: class that is passed over counted)
    @if(ignoring) { counts = counts && label != IGNORED; }
    if (counts) {
        var weight = 1.0;
        var share = 1.0;
        @if(weighted) {
            weight = weights[label];
            var together = no_terms(id);
            for (var c = 0u; c < CLASSES; c++) {
                together = plus(together, weights[c]);
            }
            // mutate `(1.0 - SMOOTHING) * weight +` => `weight +` (cross_entropy: share of the target)
            share = (1.0 - SMOOTHING) * weight + SMOOTHING * (total(together) / f32(CLASSES));
            row_weights[n] = weight;
            shares[n] = share;
        }
        let own = logits[first + label] - largest;
        var loss = share * log_sum;
        if (SMOOTHING < 1.0) {
            // mutate `(1.0 - SMOOTHING) * (weight * own)` => `weight * own` (cross_entropy: smoothing of the target)
            loss -= (1.0 - SMOOTHING) * (weight * own);
        }
        if (SMOOTHING > 0.0) {
            var all = no_terms(id);
            for (var c = 0u; c < CLASSES; c++) {
                let z = logits[first + c] - largest;
                @if(!weighted) { all = plus(all, z); }
                // mutate `weights[c] * z` => `z` (cross_entropy: weights of the others)
                @if(weighted) { all = plus(all, weights[c] * z); }
            }
            loss -= SMOOTHING * (total(all) / f32(CLASSES));
        }
        losses[n] = vec2(loss, 1.0);
    } else {
        // mutate `losses[n] = vec2(0.0);` => `losses[n] = vec2(0.0, 1.0);` (cross_entropy: ignored rows counted)
        losses[n] = vec2(0.0);
        @if(weighted) {
            row_weights[n] = 0.0;
            shares[n] = 0.0;
        }
    }
}
