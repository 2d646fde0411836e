// mean[c] and var[c] of all elements of channel c, from the lanes' means and sums of squared
// deviations, merged in order (Chan, Golub and LeVeque 1983).
//
// part [channels, lanes] pairs, mean and var [channels]. One invocation a channel.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;

@group(0) @binding(0) var<storage, read> part: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> mean: array<f32>;
@group(0) @binding(2) var<storage, read_write> variance: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let c = linear_index(id);
    if (c >= arguments.count) {
        return;
    }
    var total = vec2(0.0);
    var count = 0.0;
    let least = arguments.elements / arguments.lanes;
    let longer = arguments.elements % arguments.lanes;
    for (var lane = 0u; lane < arguments.lanes; lane++) {
        let other = part[c * arguments.lanes + lane];
        let other_count = f32(select(least, least + 1, lane < longer));
        let both = count + other_count;
        let difference = other.x - total.x;
        total.y += other.y + difference * difference * count * (other_count / both);
        total.x += difference * (other_count / both);
        count = both;
    }
    mean[c] = total.x;
    variance[c] = total.y / f32(arguments.elements);
}
