// y[n,c,p] = (x[n,c,p] / 255 - mean[c]) / std[c]
//
// x, y [N, CHANNELS, PLANE]; numbers [CHANNELS, 2]: mean and standard deviation of a channel. One invocation per element.

import package::constants::{WORKGROUP, CHANNELS, PLANE};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{x, numbers, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `% CHANNELS` => `% 1u` (images: all channels normalised as the first)
        let channel = numbers[i / PLANE % CHANNELS];
        y[i] = (x[i] / 255.0 - channel.x) / channel.y;
    }
}
