// m := MOMENTUM m + (1 - DAMPENING) g, and g in the first step; the direction is m, or g + MOMENTUM m with Nesterov's.

import package::constants::{MOMENTUM, ONE_LESS_DAMPENING};
import package::bindings::{momentum, scalars};

fn direction(i: u32, p: f32, g: f32) -> f32 {
    var ahead = g;
    @if(momentum) {
        // mutate `ONE_LESS_DAMPENING * g, g,` => `g, g,` (optimizer: dampening dropped)
        let buffer = select(MOMENTUM * momentum[i] + ONE_LESS_DAMPENING * g, g, scalars[4] > 0.0);
        momentum[i] = buffer;
        ahead = buffer;
    }
    @if(nesterov) {
        // mutate `ahead = g + MOMENTUM * ahead` => `ahead = g + ahead` (optimizer: Nesterov)
        ahead = g + MOMENTUM * ahead;
    }
    return ahead;
}
