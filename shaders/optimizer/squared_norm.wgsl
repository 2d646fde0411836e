// part[FIRST + l] = sum of g(e)^2 over the elements e with e mod count = l, g the transformed
// gradient. One invocation a part.

import package::constants::{WORKGROUP, ELEMENTS, FIRST};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::optimizer::transform::transformed;

@group(0) @binding(0) var<storage, read> gradients: array<f32>;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(0) @binding(2) var<storage, read_write> part: array<f32>;

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
