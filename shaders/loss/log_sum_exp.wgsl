// The softmax of a row of logits [CLASSES] that begins at `first`, by its logarithms: log p_c = z_c - m - log(sum of exp(z - m)).
// All logits are taken less the largest, m, so logits of 90 neither overflow nor cancel.

import package::constants::CLASSES;
import package::lib::nan::exponential;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::logits;

fn largest_logit(first: u32) -> f32 {
    var largest = logits[first];
    for (var c = 1u; c < CLASSES; c++) {
        largest = max(largest, logits[first + c]);
    }
    return largest;
}

fn sum_of_exponentials(id: vec3<u32>, first: u32, largest: f32) -> f32 {
    var exponentials = no_terms(id);
    for (var c = 0u; c < CLASSES; c++) {
        // mutate `exponential(logits[first + c] - largest)` => `exponential(logits[first + c])` (cross_entropy,soft_cross_entropy,focal: exponentials overflow)
        exponentials = plus(exponentials, exponential(logits[first + c] - largest));
    }
    return total(exponentials);
}
