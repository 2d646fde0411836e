// p := p - lr * direction(g, state) for one optimizer, over a pack of parameters; docs/ops.md has the
// rules. scalars: lr, three factors of the step, 1 in the first step. One invocation an element.

import package::constants::{WORKGROUP, ALPHA, ONE_LESS_ALPHA, BETA, ONE_LESS_BETA, GAMMA, EPS, WEIGHT_DECAY, RATE};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::unless_nan;
import package::optimizer::transform::transformed;
import package::bindings::{parameters, state_a, state_b, state_c, gradients, scalars, scale};

const LEAST_SPREAD: f32 = 1.1920929e-7;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
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

    // ALPHA: momentum, BETA: dampening.
    @if(sgd) {
        var direction = g;
        @if(momentum) {
            // mutate `ONE_LESS_BETA * g, g,` => `g, g,` (optimizer: dampening dropped)
            let buffer = select(ALPHA * state_a[i] + ONE_LESS_BETA * g, g, scalars[4] > 0.0);
            state_a[i] = buffer;
            direction = buffer;
        }
        @if(nesterov) {
            // mutate `direction = g + ALPHA * direction` => `direction = g + direction` (optimizer: Nesterov)
            direction = g + ALPHA * direction;
        }
        p -= lr * direction;
    }
    // ALPHA and BETA: the decay of the averages of g and g^2.
    @if(adam) {
        let average = ALPHA * state_a[i] + ONE_LESS_ALPHA * g;
        let square = BETA * state_b[i] + ONE_LESS_BETA * g * g;
        state_a[i] = average;
        state_b[i] = square;
        var largest = square;
        @if(amsgrad) {
            // mutate `max(state_c[i], square)))` => `square))` (optimizer: AMSGrad)
            largest = unless_nan(state_c[i], unless_nan(square, max(state_c[i], square)));
            state_c[i] = largest;
        }
        p -= lr * scalars[1] * average / (sqrt(largest * scalars[2]) + EPS);
    }
    @if(nadam) {
        let average = ALPHA * state_a[i] + ONE_LESS_ALPHA * g;
        let square = BETA * state_b[i] + ONE_LESS_BETA * g * g;
        state_a[i] = average;
        state_b[i] = square;
        // mutate `scalars[3] * g` => `g` (optimizer: NAdam's share of the gradient)
        p -= lr * (scalars[1] * average + scalars[3] * g) / (sqrt(square * scalars[2]) + EPS);
    }
    // ALPHA: the decay of the averages, GAMMA: momentum.
    @if(rmsprop) {
        let square = ALPHA * state_a[i] + ONE_LESS_ALPHA * g * g;
        state_a[i] = square;
        var spread = square;
        @if(centered) {
            // Taken towards g, the average never passes it: ALPHA and ONE_LESS_ALPHA do not add to 1 to the last bit.
            let average = state_b[i] + ONE_LESS_ALPHA * (g - state_b[i]);
            state_b[i] = average;
            // Less than the square's last bit is rounding, and a gradient over it anything.
            // mutate `square - average * average` => `square` (optimizer: RMSprop that is not centred)
            spread = unless_nan(square, max(square - average * average, LEAST_SPREAD * square));
        }
        var direction = g / (sqrt(spread) + EPS);
        @if(momentum && centered) {
            direction += GAMMA * state_c[i];
            state_c[i] = direction;
        }
        @if(momentum && !centered) {
            // mutate `direction += GAMMA * state_b[i]` => `direction += state_b[i]` (optimizer: RMSprop's momentum)
            direction += GAMMA * state_b[i];
            state_b[i] = direction;
        }
        p -= lr * direction;
    }
    @if(adagrad) {
        // mutate `let sum = state_a[i] + g * g` => `let sum = g * g` (optimizer: Adagrad forgets)
        let sum = state_a[i] + g * g;
        state_a[i] = sum;
        p -= lr * scalars[1] * g / (sqrt(sum) + EPS);
    }
    // ALPHA: momentum.
    @if(signsgd) {
        let average = ALPHA * state_a[i] + ONE_LESS_ALPHA * g;
        state_a[i] = average;
        // mutate `lr * unless_nan(average, sign(average))` => `lr * average` (optimizer: SignSGD without the sign)
        p -= lr * unless_nan(average, sign(average));
    }
    @if(lion) {
        let average = state_a[i];
        let mixed = ALPHA * average + ONE_LESS_ALPHA * g;
        p -= lr * unless_nan(mixed, sign(mixed));
        // mutate `BETA * average + ONE_LESS_BETA * g;` => `ALPHA * average + ONE_LESS_ALPHA * g;` (optimizer: Lion's second average)
        state_a[i] = BETA * average + ONE_LESS_BETA * g;
    }
    parameters[i] = p;
}
