// dx = (weight[c] * dy - (sum[g] + (x - mean[g]) / s * product[g]) / elements) / s, s = sqrt(variance[g] + EPS), elements
// those of a group.
//
// x, dy and dx [batch, channels, inner]; mean, variance, product and sum [batch * groups], g the group of image and
// channel; weight [channels]. One invocation every lanes-th element, or four, of a plane.

import package::constants::{WORKGROUP, EPS};
import package::arguments::arguments;
import package::lib::element::WIDTH;
import package::lib::grid::linear_index;
import package::bindings::{x, dy, weight, mean, variance, product, sum, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let plane = index / arguments.lanes;
    let group = plane / arguments.size;
    let elements = f32(arguments.size * arguments.inner * WIDTH);
    let centre = mean[group];
    let deviation = sqrt(variance[group] + EPS);
    let slope = product[group];
    let offset = sum[group];
    @if(affine) let factor = weight[plane % arguments.channels];
    // mutate `e < arguments.inner` => `e < arguments.inner - 1u` (group_norm: last element left out)
    for (var e = index % arguments.lanes; e < arguments.inner; e += arguments.lanes) {
        let i = plane * arguments.inner + e;
        let normal = (x[i] - centre) / deviation;
        var gradient = dy[i];
        @if(affine) {
            // mutate `gradient *= factor` => `gradient *= 1.0` (group_norm: dropped weight)
            gradient *= factor;
        }
        // mutate `offset + normal` => `normal` (group_norm: mean of the gradient not taken off)
        dx[i] = (gradient - (offset + normal * slope) / elements) / deviation;
    }
}
