// sums[r] = sum of y dy over row r of softmax, or sum of dy for its logarithm
//
// y and dy [outer, SIZE, INNER], sums [outer * INNER]. One invocation per row.

import package::constants::{WORKGROUP, SIZE, INNER};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{dy, sums, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let r = linear_index(id);
    if (r >= arguments.count) {
        return;
    }
    let first = r / INNER * (SIZE * INNER) + r % INNER;
    var sum = no_terms(id);
    for (var i = 0u; i < SIZE; i++) {
        let at = first + i * INNER;
        @if(log) { sum = plus(sum, dy[at]); }
        // mutate `plus(sum, y[at] * dy[at])` => `plus(sum, dy[at])` (softmax: not weighted)
        @else { sum = plus(sum, y[at] * dy[at]); }
    }
    sums[r] = total(sum);
}
