// With batch statistics: dx = weight[c] / s * (dy - (dbias[c] + (x - mean[c]) / s * dweight[c]) /
// elements), s = sqrt(variance[c] + EPS).
//
// x, dy and dx [BATCH, CHANNELS, INNER], the vectors [CHANNELS]. One invocation an element.

import package::constants::{WORKGROUP, BATCH, CHANNELS, INNER, EPS};
import package::arguments::arguments;
import package::lib::grid::linear_index;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> variance: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> dweight: array<f32>;
@group(0) @binding(5) var<storage, read> dbias: array<f32>;
@if(affine) @group(0) @binding(6) var<storage, read> weight: array<f32>;
@if(affine) @group(0) @binding(7) var<storage, read_write> dx: array<f32>;
@if(!affine) @group(0) @binding(6) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let c = i / INNER % CHANNELS;
    let deviation = sqrt(variance[c] + EPS);
    let normal = (x[i] - mean[c]) / deviation;
    var gradient = dy[i] - (dbias[c] + normal * dweight[c]) / f32(BATCH * INNER);
    @if(affine) {
        gradient *= weight[c];
    }
    dx[i] = gradient / deviation;
}
