// With running statistics, which do not depend on x: dx = weight[c] / sqrt(variance[c] + EPS) * dy.
//
// dy and dx [BATCH, CHANNELS, INNER], the vectors [CHANNELS]. One invocation an element.

import package::constants::{WORKGROUP, CHANNELS, INNER, EPS};
import package::arguments::arguments;
import package::lib::grid::linear_index;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> variance: array<f32>;
@if(affine) @group(0) @binding(2) var<storage, read> weight: array<f32>;
@if(affine) @group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@if(!affine) @group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let c = i / INNER % CHANNELS;
    var gradient = dy[i];
    @if(affine) {
        gradient *= weight[c];
    }
    dx[i] = gradient / sqrt(variance[c] + EPS);
}
