// s := s + g^2; the direction is a g / (sqrt(s) + eps), a the step's decay of the rate.

import package::constants::EPS;
import package::bindings::{sum, scalars};

fn direction(i: u32, p: f32, g: f32) -> f32 {
    // mutate `let squares = sum[i] + g * g` => `let squares = g * g` (optimizer: Adagrad forgets)
    let squares = sum[i] + g * g;
    sum[i] = squares;
    return scalars[1] * g / (sqrt(squares) + EPS);
}
