// dweight[c] = sum over l of part[c, l].x / sqrt(variance[c] + EPS), dbias[c] = sum over l of
// part[c, l].y, in order.
//
// part [channels, lanes] pairs, the vectors [channels]. One invocation per channel.

import package::constants::{WORKGROUP, EPS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{part, variance, dweight, dbias};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let c = linear_index(id);
    if (c >= arguments.count) {
        return;
    }
    var products = no_terms(id);
    var sum = no_terms(id);
    for (var lane = 0u; lane < arguments.lanes; lane++) {
        let other = part[c * arguments.lanes + lane];
        products = plus(products, other.x);
        sum = plus(sum, other.y);
    }
    // mutate `total(products) / sqrt(variance[c] + EPS)` => `total(products)` (batch_norm: weight gradient not scaled)
    dweight[c] = total(products) / sqrt(variance[c] + EPS);
    dbias[c] = total(sum);
}
