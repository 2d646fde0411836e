// loss = sum of losses[n].x / max(1, sum of losses[n].y), rows = sum of losses[n].y, in order. One
// invocation.

import package::constants::{WORKGROUP, ROWS};

@group(0) @binding(0) var<storage, read> losses: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> loss: array<f32>;
@group(0) @binding(2) var<storage, read_write> rows: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x != 0 || id.y != 0) {
        return;
    }
    var total = vec2(0.0);
    for (var n = 0u; n < ROWS; n++) {
        total += losses[n];
    }
    loss[0] = total.x / max(total.y, 1.0);
    rows[0] = total.y;
}
