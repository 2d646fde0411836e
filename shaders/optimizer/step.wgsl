// p := p - lr * direction(g) over a pack of parameters; or, where more than that makes a step, d = direction(g). The rule
// of the optimizer is package::operands, whose bindings are its state. scalars: lr, three factors of the step, 1 in the
// first step, and where the step is `skippable` 1 if it is skipped. One invocation per element.

import package::constants::{WORKGROUP, WEIGHT_DECAY, RATE};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::operands::direction;
import package::optimizer::transform::transformed;
import package::bindings::{parameters, directions, gradients, scalars, scale};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    @if(skippable) {
        // mutate `scalars[5] != 0.0` => `false` (optimizer: a step with gradients that are not finite)
        if (scalars[5] != 0.0) {
            return;
        }
    }
    var p = parameters[i];
    var g = transformed(gradients[i], p);
    @if(scaled) {
        // mutate `g *= scale[0]` => `g *= 1.0` (optimizer: norm clipping dropped)
        g *= scale[0];
    }
    @if(decay_gradient) {
        // mutate `g += WEIGHT_DECAY * p` => `g += WEIGHT_DECAY` (optimizer: weight decay without the weight)
        g += WEIGHT_DECAY * p;
    }
    let lr = RATE * scalars[0];
    @if(decay_parameter) {
        // mutate `1.0 - lr * WEIGHT_DECAY` => `1.0 - WEIGHT_DECAY` (optimizer: decoupled decay without lr)
        p *= 1.0 - lr * WEIGHT_DECAY;
    }
    @if(elementwise) {
        // mutate `lr * direction(i, p, g)` => `scalars[0] * direction(i, p, g)` (optimizer: rates of groups dropped)
        parameters[i] = p - lr * direction(i, p, g);
    }
    @if(!elementwise) {
        directions[i] = direction(i, p, g);
    }
}
