// m := MOMENTUM m + (1 - MOMENTUM) g; the direction is m, or MOMENTUM m + (1 - MOMENTUM) g of the new m with Nesterov's.

import package::constants::{MOMENTUM, ONE_LESS_MOMENTUM};
import package::bindings::momentum_buffer;

fn direction(i: u32, p: f32, g: f32) -> f32 {
    var average = MOMENTUM * momentum_buffer[i] + ONE_LESS_MOMENTUM * g;
    momentum_buffer[i] = average;
    @if(nesterov) {
        // mutate `MOMENTUM * average` => `average` (optimizer: Muon's look ahead)
        average = MOMENTUM * average + ONE_LESS_MOMENTUM * g;
    }
    return average;
}
