// v := RHO v + (1 - RHO) g^2; the direction is d = sqrt(u + eps) / sqrt(v + eps) g; then u := RHO u + (1 - RHO) d^2.

import package::constants::{RHO, ONE_LESS_RHO, EPS};
import package::bindings::{square_avg, acc_delta};

fn direction(i: u32, p: f32, g: f32) -> f32 {
    let square = RHO * square_avg[i] + ONE_LESS_RHO * g * g;
    square_avg[i] = square;
    let steps = acc_delta[i];
    // mutate `sqrt(steps + EPS)` => `sqrt(EPS)` (optimizer: Adadelta's past steps)
    let ahead = sqrt(steps + EPS) / sqrt(square + EPS) * g;
    // mutate `ONE_LESS_RHO * ahead * ahead` => `ONE_LESS_RHO * g * g` (optimizer: Adadelta's steps taken for gradients)
    acc_delta[i] = RHO * steps + ONE_LESS_RHO * ahead * ahead;
    return ahead;
}
