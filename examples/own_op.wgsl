// Forward: y = x / (1 + |x|). Backward: y = dy / (1 + |x|)^2, the gradient of x.
// x, dy and y: n floats. One invocation for each element of y.

import package::arguments::arguments;
import package::constants::WORKGROUP;
import package::lib::grid::linear_index;
import package::bindings::{x, y};
@if(backward) import package::bindings::dy;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if i >= arguments.count { return; }
    let scale = 1.0 / (1.0 + abs(x[i]));
    @if(backward) y[i] = dy[i] * scale * scale;
    @if(!backward) y[i] = x[i] * scale;
}
