// losses[i] of x[i] whose target is t = targets[i]:
//
//   of logits           (1 - t) x + (1 + (w - 1) t) ln(1 + exp(-x)) = -w t log p - (1 - t) log(1 - p), p = sigmoid(x)
//   of probabilities p  -t log p - (1 - t) log(1 - p), no logarithm below -100
//
// w = pos_weights[i mod POSITIVES], or 1 where there are none. All but pos_weights have one shape. One invocation per
// element.

import package::constants::WORKGROUP;
@if(pos_weighted) import package::constants::POSITIVES;
import package::arguments::arguments;
import package::activation::functions::softplus;
import package::lib::grid::linear_index;
import package::lib::nan::unless_nan;
import package::bindings::{x, targets, pos_weights, losses};

fn logarithm(p: f32) -> f32 {
    // mutate `-100.0, p == 0.0` => `-50.0, p == 0.0` (bce: logarithm of 0)
    return unless_nan(p, select(max(log(p), -100.0), -100.0, p == 0.0));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let t = targets[i];
    @if(of_logits) {
        var positive = 1.0;
        // mutate `(pos_weights[i % POSITIVES] - 1.0) * t` => `pos_weights[i % POSITIVES] * t` (bce_with_logits: positives counted once more)
        @if(pos_weighted) { positive += (pos_weights[i % POSITIVES] - 1.0) * t; }
        // mutate `(1.0 - t) * x[i]` => `x[i]` (bce_with_logits: target ignored)
        losses[i] = (1.0 - t) * x[i] + positive * softplus(-x[i]);
    }
    @if(!of_logits) {
        // mutate `(1.0 - t) * logarithm` => `logarithm` (bce: target ignored)
        losses[i] = -(t * logarithm(x[i]) + (1.0 - t) * logarithm(1.0 - x[i]));
    }
}
