// part[c, l] = (sum of dy * (x - mean[c]), sum of dy) over the elements e of channel c with e mod
// LANES = l.
//
// x and dy [BATCH, CHANNELS, INNER], mean [CHANNELS], part [CHANNELS, LANES] pairs. One invocation a
// pair.

import package::constants::{WORKGROUP, BATCH, CHANNELS, INNER, LANES};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{x, dy, mean, part};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let c = index / LANES;
    let centre = mean[c];
    var products = no_terms(id);
    var sum = no_terms(id);
    for (var e = index % LANES; e < BATCH * INNER; e += LANES) {
        let i = (e / INNER * CHANNELS + c) * INNER + e % INNER;
        let gradient = dy[i];
        // mutate `x[i] - centre` => `x[i]` (batch_norm: sums that are not centred)
        products = plus(products, gradient * (x[i] - centre));
        sum = plus(sum, gradient);
    }
    part[index] = vec2(total(products), total(sum));
}
