// loss = sum of losses[n].x / divisor, rows = sum of losses[n].y, in order. The divisor is the sum of row_weights, where
// there are any, else the rows; 0 stands for 1. One invocation.

import package::constants::{WORKGROUP, ROWS};
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{losses, loss, rows, row_weights, divisor};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x != 0 || id.y != 0) {
        return;
    }
    var sum = no_terms(id);
    var count = 0.0;
    @if(weighted) var weights = no_terms(id);
    // mutate `n = 0u` => `n = 1u` (mse: first row left out)
    for (var n = 0u; n < ROWS; n++) {
        sum = plus(sum, losses[n].x);
        count += losses[n].y;
        @if(weighted) { weights = plus(weights, row_weights[n]); }
    }
    var by = count;
    @if(weighted) {
        // mutate `by = total(weights);` => `` (cross_entropy,focal: divided by the rows)
        by = total(weights);
        divisor[0] = by;
    }
    loss[0] = total(sum) / select(by, 1.0, by == 0.0);
    rows[0] = count;
}
