// correct[n] = 1 where fewer than K logits of row n are larger than the target's (of equal ones the
// first is larger, and NaN than any number), else 0.
//
// logits [N, CLASSES], targets [N], correct [N]. One invocation per row.

import package::constants::{WORKGROUP, CLASSES, K};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::is_nan;
import package::bindings::{logits, targets, correct};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = linear_index(id);
    if (n >= arguments.count) {
        return;
    }
    let label = targets[n];
    var result = 0.0;
    if (label < CLASSES) {
        let own = logits[n * CLASSES + label];
        var larger = 0u;
        for (var c = 0u; c < CLASSES; c++) {
            let z = logits[n * CLASSES + c];
            // mutate ` || is_nan(z)` => `` (cross_entropy: right beside NaN)
            larger += u32(z > own || (z == own && c < label) || is_nan(z));
        }
        // A logit that is not a number is never right.
        let finite = (bitcast<u32>(own) & 0x7f800000u) != 0x7f800000u;
        // mutate `larger < K` => `larger <= K` (cross_entropy: one place too many)
        result = select(0.0, 1.0, larger < K && finite);
    }
    correct[n] = result;
}
