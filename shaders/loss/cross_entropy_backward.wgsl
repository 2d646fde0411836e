// dlogits[n,c] = (p[n,c] - (1-s) [c = target] - s/C) * upstream / max(1, rows), p = exp((z - m) - log
// sum); 0 in a row that does not count.
//
// logits and dlogits [N, CLASSES], targets [N], sums [N] pairs (m, log sum). One invocation per element.

import package::constants::{WORKGROUP, CLASSES, SMOOTHING};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{logits, targets, rows, sums, upstream, dlogits};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let n = i / CLASSES;
    let label = targets[n];
    var gradient = 0.0;
    if (label < CLASSES) {
        let p = exp((logits[i] - sums[n].x) - sums[n].y);
        let hot = select(0.0, 1.0 - SMOOTHING, i % CLASSES == label);
        // mutate `- SMOOTHING / f32(CLASSES)` => `` (cross_entropy: smoothing of the others)
        // mutate `upstream[0] /` => `1.0 /` (cross_entropy: upstream gradient ignored)
        gradient = (p - hot - SMOOTHING / f32(CLASSES)) * (upstream[0] / max(rows[0], 1.0));
    }
    dlogits[i] = gradient;
}
