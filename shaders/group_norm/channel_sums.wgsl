// dweight[c] = sum of part[n, c, l].x and dbias[c] = sum of part[n, c, l].y over the images n and the lanes l, in order.
//
// part [batch, channels, lanes] pairs, dweight and dbias [channels]. One invocation per channel.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{part, dweight, dbias};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let channel = linear_index(id);
    if (channel >= arguments.count) {
        return;
    }
    var products = no_terms(id);
    var gradients = no_terms(id);
    for (var image = 0u; image < arguments.batch; image++) {
        // mutate `image * arguments.count + channel` => `channel` (group_norm: the first image for all)
        let first = (image * arguments.count + channel) * arguments.lanes;
        for (var lane = 0u; lane < arguments.lanes; lane++) {
            let pair = part[first + lane];
            products = plus(products, pair.x);
            gradients = plus(gradients, pair.y);
        }
    }
    dweight[channel] = total(products);
    dbias[channel] = total(gradients);
}
