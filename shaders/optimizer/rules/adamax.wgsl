// m := b1 m + (1 - b1) g, u := max(b2 u, |g| + eps); the direction is a m / u, a the step's correction of an average
// that began at 0.

import package::constants::{BETA1, ONE_LESS_BETA1, BETA2, EPS};
import package::lib::nan::unless_nan;
import package::bindings::{exp_avg, exp_inf, scalars};

fn direction(i: u32, p: f32, g: f32) -> f32 {
    let average = BETA1 * exp_avg[i] + ONE_LESS_BETA1 * g;
    exp_avg[i] = average;
    let before = BETA2 * exp_inf[i];
    let now = abs(g) + EPS;
    // mutate `max(before, now)))` => `now))` (optimizer: Adamax forgets)
    let largest = unless_nan(before, unless_nan(now, max(before, now)));
    exp_inf[i] = largest;
    return scalars[1] * average / largest;
}
