// With batch statistics: dx = weight[c] / deviation[c] * (dy - (dbias[c] + (x - mean[c]) / deviation[c] * dweight[c]) /
// elements).
//
// x, dy and dx [batch, channels, inner], coefficients [channels, 6] as coefficients.wgsl writes them. One invocation every
// lanes-th element, or four, of a plane. With `gated`, dy is taken through an activation first.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::batch_norm::upstream::upstream;
import package::lib::element::WIDTH;
import package::lib::grid::linear_index;
import package::bindings::{dy, x, coefficients, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let plane = index / arguments.lanes;
    let first = plane % arguments.channels * 6u;
    let centre = coefficients[first];
    let deviation = coefficients[first + 1u];
    let factor = coefficients[first + 2u];
    let shift = coefficients[first + 3u];
    let product = coefficients[first + 4u];
    let sum = coefficients[first + 5u];
    // mutate `e < arguments.inner` => `e < arguments.inner - 1u` (batch_norm: last element left out)
    for (var e = index % arguments.lanes; e < arguments.inner; e += arguments.lanes) {
        let i = plane * arguments.inner + e;
        let normal = (x[i] - centre) / deviation;
        let own = upstream(normal, factor, shift, dy[i]);
        // mutate `sum + normal` => `normal` (batch_norm: mean of dy not taken off)
        let gradient = own - (sum + normal * product) / f32(arguments.batch * arguments.inner * WIDTH);
        // mutate `gradient * factor` => `gradient` (batch_norm: dropped weight)
        dx[i] = gradient * factor / deviation;
    }
}
