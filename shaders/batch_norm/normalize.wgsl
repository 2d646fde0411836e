// y = f((x - mean[c]) / sqrt(variance[c] + EPS) * weight[c] + bias[c]), f an activation or none
//
// x and y [BATCH, CHANNELS, INNER], the vectors [CHANNELS]. One invocation an element.

import package::constants::{WORKGROUP, CHANNELS, INNER, EPS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::activation::epilogue::epilogue;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@if(affine) @group(0) @binding(1) var<storage, read> weight: array<f32>;
@if(affine) @group(0) @binding(2) var<storage, read> bias: array<f32>;
@if(affine) @group(0) @binding(3) var<storage, read> mean: array<f32>;
@if(affine) @group(0) @binding(4) var<storage, read> variance: array<f32>;
@if(affine) @group(0) @binding(5) var<storage, read_write> y: array<f32>;
@if(!affine) @group(0) @binding(1) var<storage, read> mean: array<f32>;
@if(!affine) @group(0) @binding(2) var<storage, read> variance: array<f32>;
@if(!affine) @group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let c = i / INNER % CHANNELS;
    let normal = (x[i] - mean[c]) / sqrt(variance[c] + EPS);
    @if(affine) y[i] = epilogue(fma(normal, weight[c], bias[c]));
    @if(!affine) y[i] = epilogue(normal);
}
