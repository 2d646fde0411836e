// s := ALPHA s + (1 - ALPHA) g^2; the direction is g / (sqrt(s) + eps), centred g / (sqrt(s - average(g)^2) + eps), and
// with momentum their running sum.

import package::constants::{ALPHA, ONE_LESS_ALPHA, EPS, MOMENTUM, LEAST_SPREAD};
import package::lib::nan::unless_nan;
import package::bindings::{square_avg, grad_avg, momentum};

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
    var ahead = g / (sqrt(spread) + EPS);
    @if(momentum) {
        // mutate `ahead += MOMENTUM * momentum[i]` => `ahead += momentum[i]` (optimizer: RMSprop's momentum)
        ahead += MOMENTUM * momentum[i];
        momentum[i] = ahead;
    }
    return ahead;
}
