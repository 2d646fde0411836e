// product[g] = sum of weight[c] * part[p, l].x and sum[g] = sum of weight[c] * part[p, l].y over the planes p of group g, c
// the channel of p, and the lanes l, in order.
//
// part [batch * channels, lanes] pairs, weight [channels], product and sum [batch * groups]. One invocation per group.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{part, weight, product, sum};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let group = linear_index(id);
    if (group >= arguments.count) {
        return;
    }
    let steps = arguments.size * arguments.lanes;
    var products = no_terms(id);
    var gradients = no_terms(id);
    // mutate `step < steps` => `step + 1u < steps` (group_norm: last lane left out)
    for (var step = 0u; step < steps; step++) {
        let pair = part[group * steps + step];
        // mutate `% arguments.channels` => `` (group_norm: weights of the first image alone)
        @if(affine) let factor = weight[(group * arguments.size + step / arguments.lanes) % arguments.channels];
        @if(!affine) let factor = 1.0;
        products = plus(products, factor * pair.x);
        gradients = plus(gradients, factor * pair.y);
    }
    product[group] = total(products);
    sum[group] = total(gradients);
}
