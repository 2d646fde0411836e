// history[row] = (loss, correct, rows), row = numbers[CURSOR]. One invocation.

import package::constants::{WORKGROUP, CURSOR};

@group(0) @binding(0) var<storage, read> loss: array<f32>;
@group(0) @binding(1) var<storage, read> correct: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<f32>;
@group(0) @binding(3) var<storage, read> numbers: array<u32>;
@group(0) @binding(4) var<storage, read_write> history: array<f32>;

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
