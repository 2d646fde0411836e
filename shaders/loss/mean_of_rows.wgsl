// loss = sum of losses[n].x / max(1, sum of losses[n].y), rows = sum of losses[n].y, in order. One
// invocation.

import package::constants::{WORKGROUP, ROWS};
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{losses, loss, rows};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x != 0 || id.y != 0) {
        return;
    }
    var sum = no_terms(id);
    var count = 0.0;
    // mutate `n = 0u` => `n = 1u` (mse: first row left out)
    for (var n = 0u; n < ROWS; n++) {
        sum = plus(sum, losses[n].x);
        count += losses[n].y;
    }
    loss[0] = total(sum) / max(count, 1.0);
    rows[0] = count;
}
