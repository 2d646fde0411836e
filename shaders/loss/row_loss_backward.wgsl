// dlogits[n,c] = w_t upstream / divisor * dloss[n] / dz[c], 0 in a row whose target is no class or passed over. A
// divisor of 0, of no row, stands for 1; w_t is the weight of the target, where classes have weights. With y the one-hot
// target t, p = softmax(z), and (m, log sum, g) from the forward pass:
//
//   focal        g (y_c - p_c)
//   mse          2 / CLASSES (z_c - y_c)
//   mse_softmax  2 / CLASSES p_c (p_c - y_c - g)
//   nll          -y_c
//
// logits and dlogits [N, CLASSES], targets [N], weights [CLASSES], divisor and upstream [1], numbers [N, 3]. One
// invocation per element.

import package::constants::{WORKGROUP, CLASSES};
@if(ignoring) import package::constants::IGNORED;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::exponential;
import package::bindings::{targets, divisor, upstream, dlogits, logits, numbers, weights};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let n = i / CLASSES;
    let label = targets[n];
    var counts = label < CLASSES;
    // mutate `label != IGNORED` => `true` (nll: gradient of a class that is passed over)
    @if(ignoring) { counts = counts && label != IGNORED; }
    if (!counts) {
        // mutate `dlogits[i] = 0.0;` => `` (nll: rows without a class not written)
        dlogits[i] = 0.0;
        return;
    }
    let hot = select(0.0, 1.0, i % CLASSES == label);
    var gradient = -hot;
    @if(mse) {
        gradient = 2.0 / f32(CLASSES) * (logits[i] - hot);
    }
    @if(softmax) {
        let p = exponential(logits[i] - numbers[3u * n] - numbers[3u * n + 1u]);
        let g = numbers[3u * n + 2u];
        // mutate `(hot - p)` => `(p - hot)` (focal: wrong sign)
        @if(focal) { gradient = g * (hot - p); }
        // mutate `(p - hot - g)` => `(p - hot)` (mse_softmax: softmax's own gradient)
        @if(mse_softmax) { gradient = 2.0 / f32(CLASSES) * p * (p - hot - g); }
    }
    // mutate `gradient *= weights[label];` => `` (focal,mse: weight of the gradient dropped)
    @if(weighted) { gradient *= weights[label]; }
    // mutate `upstream[0] /` => `1.0 /` (mse: upstream gradient ignored)
    dlogits[i] = gradient * (upstream[0] / select(divisor[0], 1.0, divisor[0] == 0.0));
}
