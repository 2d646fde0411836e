// Sums over the invocations of a workgroup, in their order, each of which gets the total.

import package::constants::WORKGROUP;
import package::lib::sum::{no_terms, plus, total};

var<workgroup> terms: array<f32, WORKGROUP>;

// All invocations of the workgroup call it together. `zero` has the z that no grid has.
fn sum_of_all(term: f32, lane: u32, zero: vec3<u32>) -> f32 {
    terms[lane] = term;
    workgroupBarrier();
    var sum = no_terms(zero);
    // mutate `other < WORKGROUP` => `other < WORKGROUP - 1u` (batch_norm: last invocation left out)
    for (var other = 0u; other < WORKGROUP; other++) {
        sum = plus(sum, terms[other]);
    }
    // Nobody writes again before all have read.
    workgroupBarrier();
    return total(sum);
}
