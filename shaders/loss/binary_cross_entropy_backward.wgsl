// dx[i] = upstream[i] times the derivative by x of the loss of x[i] whose target is t = targets[i]:
//
//   of logits         (w t + 1 - t) sigmoid(x) - w t
//   of probabilities  (x - t) / max(x (1 - x), 1e-12)
//
// w = pos_weights[i mod POSITIVES], or 1 where there are none. All but pos_weights have one shape. One invocation per
// element.

import package::constants::WORKGROUP;
@if(pos_weighted) import package::constants::POSITIVES;
import package::arguments::arguments;
import package::activation::functions::sigmoid;
import package::lib::grid::linear_index;
import package::lib::nan::unless_nan;
import package::bindings::{x, targets, upstream, pos_weights, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let t = targets[i];
    @if(of_logits) {
        var positive = t;
        // mutate `positive *= pos_weights[i % POSITIVES];` => `` (bce_with_logits: weight of positives dropped)
        @if(pos_weighted) { positive *= pos_weights[i % POSITIVES]; }
        // mutate `- positive)` => `- t)` (bce_with_logits: weight of the target dropped)
        dx[i] = upstream[i] * ((positive + 1.0 - t) * sigmoid(x[i]) - positive);
    }
    @if(!of_logits) {
        let p = x[i];
        // mutate `max(p * (1.0 - p), 1e-12)` => `p * (1.0 - p)` (bce: divisor of 0)
        dx[i] = upstream[i] * unless_nan(p, (p - t) / max(p * (1.0 - p), 1e-12));
    }
}
