// part[c, l] = (mean, sum of squared deviations) of the elements e of channel c with e mod LANES = l.
//
// Sums are of x less the lane's first element: their squares do not cancel, however large the mean.
// x [BATCH, CHANNELS, INNER], part [CHANNELS, LANES] pairs. One invocation a pair.

import package::constants::{WORKGROUP, BATCH, CHANNELS, INNER, LANES};
import package::arguments::arguments;
import package::lib::grid::linear_index;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> part: array<vec2<f32>>;

fn element(c: u32, e: u32) -> f32 {
    return x[(e / INNER * CHANNELS + c) * INNER + e % INNER];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let c = index / LANES;
    let lane = index % LANES;
    let shift = element(c, lane);
    var sum = 0.0;
    var squares = 0.0;
    var count = 0.0;
    for (var e = lane; e < BATCH * INNER; e += LANES) {
        let value = element(c, e) - shift;
        sum += value;
        squares = fma(value, value, squares);
        count += 1.0;
    }
    let mean = sum / count;
    part[index] = vec2(shift + mean, max(squares - sum * mean, 0.0));
}
