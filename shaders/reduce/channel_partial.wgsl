// part[c, l] = sum of x[o, c, i] over the elements e = o * INNER + i of channel c with e mod LANES = l
//
// x [OUTER, CHANNELS, INNER], part [CHANNELS, LANES]. One invocation per element of part: neighbours
// read neighbouring elements.

import package::constants::{WORKGROUP, OUTER, CHANNELS, INNER, LANES};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{x, part};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let c = index / LANES;
    var sum = no_terms(id);
    // mutate `e += LANES` => `e += LANES + 1u` (conv2d: lanes overlap)
    for (var e = index % LANES; e < OUTER * INNER; e += LANES) {
        sum = plus(sum, x[(e / INNER * CHANNELS + c) * INNER + e % INNER]);
    }
    part[index] = total(sum);
}
