// dlogits[n,c] = (shares[n] p[n,c] - q_c) * upstream / ROWS, p = exp((z - m) - log sum), q_c = w_c ((1-s) t_c + s/C).
// Where classes have no weights, w is 1.
//
// logits, targets and dlogits [ROWS, CLASSES], weights [CLASSES], sums [ROWS] pairs (m, log sum), shares [ROWS]. One
// invocation per element.

import package::constants::{WORKGROUP, CLASSES, ROWS, SMOOTHING};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::exponential;
import package::bindings::{logits, targets, sums, shares, upstream, weights, dlogits};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let n = i / CLASSES;
    let p = exponential((logits[i] - sums[n].x) - sums[n].y);
    var q = (1.0 - SMOOTHING) * targets[i] + SMOOTHING / f32(CLASSES);
    // mutate `q *= weights[i % CLASSES];` => `` (soft_cross_entropy: weights of the gradient dropped)
    @if(weighted) { q *= weights[i % CLASSES]; }
    // mutate `shares[n] * p` => `p` (soft_cross_entropy: share of a row)
    // mutate `upstream[0] /` => `1.0 /` (soft_cross_entropy: upstream gradient ignored)
    dlogits[i] = (shares[n] * p - q) * (upstream[0] / f32(ROWS));
}
