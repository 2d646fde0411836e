// ratios[b] = ||p|| / ||d|| of the member m that block b is of, and 1 where one of them is 0 or NaN; the squared norms are
// the sums of the LANES parts of m. One invocation for each lane of each member, which writes every LANES-th block.

import package::constants::{WORKGROUP, LANES, STARTS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::above_zero;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{parts, ratios};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let l = linear_index(id);
    if (l >= arguments.count) {
        return;
    }
    var starts = STARTS;
    let member = l / LANES;
    var weights = no_terms(id);
    var directions = no_terms(id);
    for (var part = member * LANES; part < (member + 1) * LANES; part++) {
        weights = plus(weights, parts[2 * part]);
        directions = plus(directions, parts[2 * part + 1]);
    }
    let norms = sqrt(vec2(total(weights), total(directions)));
    var ratio = 1.0;
    // mutate `above_zero(norms.x) && above_zero(norms.y)` => `true` (optimizer: trust ratio of weights of 0)
    if (above_zero(norms.x) && above_zero(norms.y)) {
        ratio = norms.x / norms.y;
    }
    @if(clipped) {
        // mutate `min(ratio, 1.0)` => `ratio` (optimizer: trust ratio not clipped)
        ratio = min(ratio, 1.0);
    }
    for (var b = starts[member] + l % LANES; b < starts[member + 1]; b += LANES) {
        ratios[b] = ratio;
    }
}
