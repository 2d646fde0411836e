// With batch statistics: dx = weight[c] / s * (dy - (dbias[c] + (x - mean[c]) / s * dweight[c]) /
// elements), s = sqrt(variance[c] + EPS).
//
// x, dy and dx [batch, channels, inner], the vectors [channels]. One invocation every lanes-th element, or
// four, of a plane.

import package::constants::{WORKGROUP, EPS};
import package::arguments::arguments;
import package::lib::element::WIDTH;
import package::lib::grid::linear_index;
import package::bindings::{dy, variance, x, mean, dweight, dbias, weight, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let plane = index / arguments.lanes;
    let c = plane % arguments.channels;
    let centre = mean[c];
    let deviation = sqrt(variance[c] + EPS);
    let product = dweight[c];
    let sum = dbias[c];
    @if(affine) let factor = weight[c];
    // mutate `e < arguments.inner` => `e < arguments.inner - 1u` (batch_norm: last element left out)
    for (var e = index % arguments.lanes; e < arguments.inner; e += arguments.lanes) {
        let i = plane * arguments.inner + e;
        let normal = (x[i] - centre) / deviation;
        // mutate `sum + normal` => `normal` (batch_norm: mean of dy not taken off)
        var gradient = dy[i] - (sum + normal * product) / f32(arguments.batch * arguments.inner * WIDTH);
        @if(affine) {
            // mutate `gradient *= factor` => `gradient *= 1.0` (batch_norm: dropped weight)
            gradient *= factor;
        }
        dx[i] = gradient / deviation;
    }
}
