// dweight[c] = sum over l of part[c, l].x / sqrt(variance[c] + EPS), dbias[c] = sum over l of
// part[c, l].y, in order.
//
// part [channels, lanes] pairs, the vectors [channels]. One invocation per channel. See coefficients.wgsl for what else is
// written.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::batch_norm::coefficients::write_sums;
import package::bindings::part;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let c = linear_index(id);
    if (c >= arguments.count) {
        return;
    }
    var products = no_terms(id);
    var sum = no_terms(id);
    // mutate `lane = 0u` => `lane = 1u` (batch_norm: first lane left out)
    for (var lane = 0u; lane < arguments.lanes; lane++) {
        let other = part[c * arguments.lanes + lane];
        products = plus(products, other.x);
        sum = plus(sum, other.y);
    }
    write_sums(c, total(products), total(sum));
}
