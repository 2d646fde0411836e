// y[o,c,i] = x[o,c,i] where that is above 0, else slopes[c] * x[o,c,i].
//
// x and y [O, CHANNELS, INNER], slopes [CHANNELS]. One invocation per element, or per four of one channel, of which INNER
// counts the invocations.

import package::constants::{WORKGROUP, CHANNELS, INNER};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::above_zero;
import package::bindings::{x, slopes, y};

fn prelu(x: f32, slope: f32) -> f32 {
    // mutate `select(slope * x, x, above_zero(x))` => `select(x, slope * x, above_zero(x))` (prelu: slope above 0)
    return select(slope * x, x, above_zero(x));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    // mutate `i / INNER % CHANNELS` => `0u` (prelu: first slope for all)
    let slope = slopes[i / INNER % CHANNELS];
    let v = x[i];
    @if(wide) { y[i] = vec4(prelu(v.x, slope), prelu(v.y, slope), prelu(v.z, slope), prelu(v.w, slope)); }
    @if(!wide) { y[i] = prelu(v, slope); }
}
