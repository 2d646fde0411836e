// dlogits[n,c] = (share[n] p[n,c] - w[c] ((1-s) [c = target] + s/C)) * upstream / divisor, p = exp((z - m) - log
// sum); 0 in a row that does not count. A divisor of 0, of no row, stands for 1; where classes have no weights, share
// and w are 1.
//
// logits and dlogits [N, CLASSES], targets and shares [N], weights [CLASSES], sums [N] pairs (m, log sum). One
// invocation per element.

import package::constants::{WORKGROUP, CLASSES, SMOOTHING};
@if(ignoring) import package::constants::IGNORED;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::exponential;
import package::bindings::{logits, targets, divisor, sums, upstream, dlogits, weights, shares};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let n = i / CLASSES;
    let label = targets[n];
    var gradient = 0.0;
    var counts = label < CLASSES;
    // mutate `label != IGNORED` => `true` (cross_entropy: gradient of a class that is passed over)
    @if(ignoring) { counts = counts && label != IGNORED; }
    if (counts) {
        let p = exponential((logits[i] - sums[n].x) - sums[n].y);
        let hot = select(0.0, 1.0 - SMOOTHING, i % CLASSES == label);
        // mutate `+ SMOOTHING / f32(CLASSES)` => `` (cross_entropy: smoothing of the others)
        let wanted = hot + SMOOTHING / f32(CLASSES);
        gradient = p - wanted;
        // mutate `shares[n] * p` => `p` (cross_entropy: share of a row)
        @if(weighted) { gradient = shares[n] * p - weights[i % CLASSES] * wanted; }
        // mutate `upstream[0] /` => `1.0 /` (cross_entropy: upstream gradient ignored)
        gradient *= upstream[0] / select(divisor[0], 1.0, divisor[0] == 0.0);
    }
    dlogits[i] = gradient;
}
