// y = f((x - mean[c]) / sqrt(variance[c] + EPS) * weight[c] + bias[c]), f an activation or none
//
// x and y [batch, channels, inner], the vectors [channels]. One invocation every lanes-th element, or four, of a plane,
// so that what a channel has in common is found once for all of them.

import package::constants::{WORKGROUP, EPS};
import package::arguments::arguments;
import package::lib::element::Element;
import package::lib::grid::linear_index;
import package::activation::epilogue::epilogue_each;
import package::bindings::{x, weight, bias, mean, variance, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let plane = index / arguments.lanes;
    let c = plane % arguments.channels;
    let centre = mean[c];
    // mutate `variance[c] + EPS` => `variance[c]` (batch_norm: no epsilon)
    let deviation = sqrt(variance[c] + EPS);
    @if(affine) let factor = weight[c];
    @if(affine) let shift = bias[c];
    // mutate `e = index % arguments.lanes` => `e = 0u` (batch_norm: every lane the whole plane)
    for (var e = index % arguments.lanes; e < arguments.inner; e += arguments.lanes) {
        let i = plane * arguments.inner + e;
        let normal = (x[i] - centre) / deviation;
        // mutate `Element(shift))` => `Element(0.0))` (batch_norm: dropped bias)
        @if(affine) y[i] = epilogue_each(fma(normal, Element(factor), Element(shift)));
        @if(!affine) y[i] = epilogue_each(normal);
    }
}
