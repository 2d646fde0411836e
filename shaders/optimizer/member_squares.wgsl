// parts[2 l], parts[2 l + 1] = the sums of squares over every LANES-th block of member m = l / LANES of a pack, from block
// STARTS[m] + l mod LANES on and below STARTS[m + 1]. One invocation for each l.

import package::constants::{WORKGROUP, LANES, STARTS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{squares, parts};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let l = linear_index(id);
    if (l >= arguments.count) {
        return;
    }
    var starts = STARTS;
    var weights = no_terms(id);
    var directions = no_terms(id);
    // mutate `l / LANES + 1` => `l / LANES` (optimizer: tensors without blocks)
    let end = starts[l / LANES + 1];
    for (var b = starts[l / LANES] + l % LANES; b < end; b += LANES) {
        weights = plus(weights, squares[2 * b]);
        directions = plus(directions, squares[2 * b + 1]);
    }
    parts[2 * l] = total(weights);
    parts[2 * l + 1] = total(directions);
}
