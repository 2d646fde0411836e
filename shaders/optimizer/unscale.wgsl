// g(e) := g(e) / scale, and part[FIRST + l] = whether one of the g(e) with e mod count = l is not finite, 1 or 0. One
// invocation per part.

import package::constants::{WORKGROUP, ELEMENTS, FIRST};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::is_finite;
import package::bindings::{gradients, scale, part};

// 2^254 in the place of an exponent: less that of a power of two, it is that of the inverse.
const TWICE_THE_BIAS: u32 = 0x7f000000u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = linear_index(id);
    if (lane >= arguments.count) {
        return;
    }
    // Exact, which a division need not be.
    let inverse = bitcast<f32>(TWICE_THE_BIAS - bitcast<u32>(scale[0]));
    var wrong = 0.0;
    for (var e = lane; e < ELEMENTS; e += arguments.count) {
        let g = gradients[e];
        // mutate `wrong = select(1.0, wrong, is_finite(g))` => `wrong = select(1.0, 0.0, is_finite(g))` (optimizer: an infinity before the last gradient not seen)
        wrong = select(1.0, wrong, is_finite(g));
        // mutate `g * inverse` => `g` (optimizer: gradients that stay scaled)
        gradients[e] = g * inverse;
    }
    part[FIRST + lane] = wrong;
}
