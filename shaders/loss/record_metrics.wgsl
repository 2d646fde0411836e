// history[row] = (loss, correct, rows), row = numbers[CURSOR]. One invocation.

import package::constants::{WORKGROUP, CURSOR};
import package::bindings::{loss, correct, rows, numbers, history};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x != 0 || id.y != 0) {
        return;
    }
    let row = 3 * numbers[CURSOR];
    history[row] = loss[0];
    history[row + 1] = correct[0];
    // mutate `row + 2` => `row + 1` (record_metrics: rows for correct)
    history[row + 2] = rows[0];
}
