// m := b1 m + (1 - b1) g, v := b2 v + (1 - b2) g^2; the direction is a m (r / (sqrt(v) + eps) + c), a, r and c the
// step's: r is 0 and c 1 in the first steps, c 0 after them.

import package::constants::{BETA1, ONE_LESS_BETA1, BETA2, ONE_LESS_BETA2, EPS};
import package::bindings::{exp_avg, exp_avg_sq, scalars};

fn direction(i: u32, p: f32, g: f32) -> f32 {
    let average = BETA1 * exp_avg[i] + ONE_LESS_BETA1 * g;
    let square = BETA2 * exp_avg_sq[i] + ONE_LESS_BETA2 * g * g;
    exp_avg[i] = average;
    exp_avg_sq[i] = square;
    // mutate `EPS) + scalars[3]` => `EPS)` (optimizer: RAdam's first steps)
    return scalars[1] * average * (scalars[2] / (sqrt(square) + EPS) + scalars[3]);
}
