// Sums over the invocations of a workgroup, along a tree of fixed shape, each of which gets the total.

import package::constants::WORKGROUP;
import package::lib::sum::{Sum, joined, no_terms, plus, total};

// WORKGROUP is a power of two.
var<workgroup> partial: array<Sum, WORKGROUP>;

// All invocations of the workgroup call it together. `zero` has the z that no grid has.
fn sum_of_all(term: f32, lane: u32, zero: vec3<u32>) -> f32 {
    var sum = plus(no_terms(zero), term);
    partial[lane] = sum;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if (lane < half) {
            // mutate `partial[lane + half]` => `partial[half]` (batch_norm: one invocation for all of a half)
            sum = joined(sum, partial[lane + half]);
            partial[lane] = sum;
        }
        workgroupBarrier();
    }
    let all = total(partial[0]);
    // Nobody writes again before all have read.
    workgroupBarrier();
    return all;
}
