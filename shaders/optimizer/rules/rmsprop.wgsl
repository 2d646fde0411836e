// s := ALPHA s + (1 - ALPHA) g^2; the direction is g / (sqrt(s) + eps), centred g / (sqrt(s - average(g)^2) + eps), and
// with momentum their running sum. As TensorFlow has it, g / sqrt(s + eps) from s = 1 on, and the sum is of whole steps, with
// the rate that each had.

import package::constants::{ALPHA, ONE_LESS_ALPHA, EPS, MOMENTUM, LEAST_SPREAD};
import package::lib::nan::unless_nan;
import package::bindings::{square_avg, grad_avg, momentum, scalars};

fn direction(i: u32, p: f32, g: f32) -> f32 {
    let square = ALPHA * square_avg[i] + ONE_LESS_ALPHA * g * g;
    square_avg[i] = square;
    var spread = square;
    @if(centered) {
        // Taken towards g, the average never passes it: ALPHA and ONE_LESS_ALPHA do not add to 1 to the last bit.
        let average = grad_avg[i] + ONE_LESS_ALPHA * (g - grad_avg[i]);
        grad_avg[i] = average;
        // Less than the square's last bit is rounding, and a gradient over it anything.
        // mutate `square - average * average` => `square` (optimizer: RMSprop that is not centred)
        spread = unless_nan(square, max(square - average * average, LEAST_SPREAD * square));
    }
    // mutate `sqrt(spread + EPS)` => `sqrt(spread)` (optimizer: TensorFlow's RMSprop without its eps)
    @if(tensorflow) let root = sqrt(spread + EPS);
    @if(!tensorflow) let root = sqrt(spread) + EPS;
    var ahead = g / root;
    @if(momentum && tensorflow) {
        let rate = scalars[0];
        ahead = MOMENTUM * momentum[i] + rate * ahead;
        momentum[i] = ahead;
        // A step at rate 0 is none.
        // mutate `ahead / rate` => `ahead` (optimizer: TensorFlow's RMSprop with the rate twice)
        ahead = select(0.0, ahead / rate, rate > 0.0);
    }
    @if(momentum && !tensorflow) {
        // mutate `ahead += MOMENTUM * momentum[i]` => `ahead += momentum[i]` (optimizer: RMSprop's momentum)
        ahead += MOMENTUM * momentum[i];
        momentum[i] = ahead;
    }
    return ahead;
}
