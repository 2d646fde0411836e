// dx[o,c,i] = dy[o,c,i] where x[o,c,i] is above 0, else slopes[c] * dy[o,c,i]; terms[o,c,i] = 0 where x[o,c,i] is above 0,
// else x[o,c,i] * dy[o,c,i].
//
// All but slopes [CHANNELS] are [O, CHANNELS, INNER]. One invocation per element, or per four of one channel, of which
// INNER counts the invocations.

import package::constants::{WORKGROUP, CHANNELS, INNER};
import package::arguments::arguments;
import package::lib::element::Element;
import package::lib::grid::linear_index;
import package::lib::nan::above_zero;
import package::bindings::{x, slopes, dy, dx, terms};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let slope = slopes[i / INNER % CHANNELS];
    let v = x[i];
    let d = dy[i];
    @if(wide) let above = vec4(above_zero(v.x), above_zero(v.y), above_zero(v.z), above_zero(v.w));
    @if(!wide) let above = above_zero(v);
    // mutate `select(slope * d, d, above)` => `select(slope * v, d, above)` (prelu: x for its gradient)
    dx[i] = select(slope * d, d, above);
    @if(terms) {
        // mutate `select(v * d, Element(0.0), above)` => `v * d` (prelu: slope's gradient above 0)
        terms[i] = select(v * d, Element(0.0), above);
    }
}
