// y[i] = sum over p < parts of x[i * stride + p * part_stride], in the order of p. One invocation an
// element of y.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{x, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    var sum = no_terms(id);
    // mutate `p < arguments.parts` => `p + 1 < arguments.parts` (mean: last part left out)
    for (var p = 0u; p < arguments.parts; p++) {
        sum = plus(sum, x[i * arguments.stride + p * arguments.part_stride]);
    }
    y[i] = total(sum);
}
