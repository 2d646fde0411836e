// The direction is the sign of b1 m + (1 - b1) g; then m := b2 m + (1 - b2) g.

import package::constants::{BETA1, ONE_LESS_BETA1, BETA2, ONE_LESS_BETA2};
import package::lib::nan::unless_nan;
import package::bindings::exp_avg;

fn direction(i: u32, p: f32, g: f32) -> f32 {
    let average = exp_avg[i];
    let mixed = BETA1 * average + ONE_LESS_BETA1 * g;
    // mutate `BETA2 * average + ONE_LESS_BETA2 * g` => `mixed` (optimizer: Lion's second average)
    exp_avg[i] = BETA2 * average + ONE_LESS_BETA2 * g;
    return unless_nan(mixed, sign(mixed));
}
