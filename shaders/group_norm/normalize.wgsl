// y = f((x - mean[g]) / sqrt(variance[g] + EPS) * weight[c] + bias[c]), f an activation or none
//
// x and y [batch, channels, inner]; mean and variance [batch * groups], g the group of image and channel; weight and
// bias [channels]. One invocation every lanes-th element, or four, of a plane.

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
    // mutate `plane / arguments.size` => `plane` (group_norm: statistics of another group)
    let group = plane / arguments.size;
    let centre = mean[group];
    // mutate `variance[group] + EPS` => `variance[group]` (group_norm: no epsilon)
    let deviation = sqrt(variance[group] + EPS);
    @if(affine) let factor = weight[plane % arguments.channels];
    @if(affine) let shift = bias[plane % arguments.channels];
    // mutate `e = index % arguments.lanes` => `e = 0u` (group_norm: every lane the whole plane)
    for (var e = index % arguments.lanes; e < arguments.inner; e += arguments.lanes) {
        let i = plane * arguments.inner + e;
        let normal = (x[i] - centre) / deviation;
        // mutate `Element(shift))` => `Element(0.0))` (group_norm: dropped bias)
        @if(affine) y[i] = epilogue_each(fma(normal, Element(factor), Element(shift)));
        @if(!affine) y[i] = epilogue_each(normal);
    }
}
