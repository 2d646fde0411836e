// sums[r] = (m, s): the largest x of row r, and the sum of exp(x - m), or its logarithm
//
// x [outer, SIZE, INNER] holds a row for each of its outer x INNER columns, whose elements lie INNER
// apart. sums [rows, 2]. One invocation per row.

import package::constants::{WORKGROUP, SIZE, INNER};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::{exponential, logarithm};
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{x, sums};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let r = linear_index(id);
    if (r >= arguments.count) {
        return;
    }
    let first = r / INNER * (SIZE * INNER) + r % INNER;
    var largest = x[first];
    // mutate `i = 1u; i < SIZE` => `i = 1u; i < 1u` (softmax: first for largest)
    for (var i = 1u; i < SIZE; i++) {
        largest = max(largest, x[first + i * INNER]);
    }
    var exponentials = no_terms(id);
    for (var i = 0u; i < SIZE; i++) {
        // mutate ` - largest));` => `));` (softmax: exponentials overflow)
        exponentials = plus(exponentials, exponential(x[first + i * INNER] - largest));
    }
    sums[2u * r] = largest;
    let sum = total(exponentials);
    @if(log) { sums[2u * r + 1u] = logarithm(sum); }
    @else { sums[2u * r + 1u] = sum; }
}
