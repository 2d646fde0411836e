// m := b1 m + (1 - b1) g, v := b2 v + (1 - b2) g^2; the direction is a m / (sqrt(b v) + eps) + decay p, a and b the
// step's corrections of averages that began at 0.

import package::constants::{BETA1, ONE_LESS_BETA1, BETA2, ONE_LESS_BETA2, EPS, LAMB_DECAY};
import package::bindings::{exp_avg, exp_avg_sq, scalars};

fn direction(i: u32, p: f32, g: f32) -> f32 {
    let average = BETA1 * exp_avg[i] + ONE_LESS_BETA1 * g;
    let square = BETA2 * exp_avg_sq[i] + ONE_LESS_BETA2 * g * g;
    exp_avg[i] = average;
    exp_avg_sq[i] = square;
    // mutate ` + LAMB_DECAY * p` => `` (optimizer: LAMB without its weight decay)
    return scalars[1] * average / (sqrt(square * scalars[2]) + EPS) + LAMB_DECAY * p;
}
