// m := b1 m + (1 - b1) g, v := b2 v + (1 - b2) g^2; the direction is a m / (sqrt(b v) + eps), a and b the step's
// corrections of averages that began at 0. With AMSGrad, v is the largest so far.

import package::constants::{BETA1, ONE_LESS_BETA1, BETA2, ONE_LESS_BETA2, EPS};
import package::lib::nan::unless_nan;
import package::bindings::{exp_avg, exp_avg_sq, max_exp_avg_sq, scalars};

fn direction(i: u32, p: f32, g: f32) -> f32 {
    // mutate `ONE_LESS_BETA1 * g` => `g` (optimizer: Adam's average of gradients)
    let average = BETA1 * exp_avg[i] + ONE_LESS_BETA1 * g;
    let square = BETA2 * exp_avg_sq[i] + ONE_LESS_BETA2 * g * g;
    exp_avg[i] = average;
    exp_avg_sq[i] = square;
    var largest = square;
    @if(amsgrad) {
        let before = max_exp_avg_sq[i];
        // mutate `max(before, square)))` => `square))` (optimizer: AMSGrad)
        largest = unless_nan(before, unless_nan(square, max(before, square)));
        max_exp_avg_sq[i] = largest;
    }
    return scalars[1] * average / (sqrt(largest * scalars[2]) + EPS);
}
