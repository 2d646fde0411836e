// part[FIRST + l] = sum of g(e)^2 over the elements e with e mod count = l, g the transformed
// gradient. One invocation per part.

import package::constants::{WORKGROUP, ELEMENTS, FIRST};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::optimizer::transform::transformed;
import package::bindings::{gradients, parameters, part};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = linear_index(id);
    if (lane >= arguments.count) {
        return;
    }
    var sum = no_terms(id);
    for (var e = lane; e < ELEMENTS; e += arguments.count) {
        let g = transformed(gradients[e], parameters[e]);
        sum = plus(sum, g * g);
    }
    // mutate `part[FIRST + lane] = total(sum)` => `part[FIRST + lane] = sqrt(total(sum))` (optimizer: root of each part)
    part[FIRST + lane] = total(sum);
}
