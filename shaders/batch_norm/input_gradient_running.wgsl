// With running statistics, which do not depend on x: dx = weight[c] / sqrt(variance[c] + EPS) * dy.
//
// dy and dx [batch, channels, inner], the vectors [channels]. One invocation every lanes-th element, or four, of a plane.

import package::constants::{WORKGROUP, EPS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{dy, variance, weight, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let plane = index / arguments.lanes;
    // mutate `% arguments.channels` => `% max(arguments.channels - 1u, 1u)` (batch_norm: wrong channel)
    let c = plane % arguments.channels;
    let deviation = sqrt(variance[c] + EPS);
    @if(affine) let factor = weight[c];
    for (var e = index % arguments.lanes; e < arguments.inner; e += arguments.lanes) {
        let i = plane * arguments.inner + e;
        @if(affine) dx[i] = dy[i] * factor / deviation;
        @if(!affine) dx[i] = dy[i] / deviation;
    }
}
