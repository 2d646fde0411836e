// m := MOMENTUM m + (1 - MOMENTUM) g; the direction is the sign of m.

import package::constants::{MOMENTUM, ONE_LESS_MOMENTUM};
import package::lib::nan::unless_nan;
import package::bindings::momentum;

fn direction(i: u32, p: f32, g: f32) -> f32 {
    let average = MOMENTUM * momentum[i] + ONE_LESS_MOMENTUM * g;
    momentum[i] = average;
    // mutate `unless_nan(average, sign(average))` => `average` (optimizer: SignSGD without the sign)
    return unless_nan(average, sign(average));
}
