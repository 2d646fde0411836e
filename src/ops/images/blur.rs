//! Gaussian blur, row by row and then column by column.

use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::images::change::Border;

static BLUR: Shader = Shader::new("images/blur", &[read("x"), read("draws"), write("y")]);

/// x at (i, j), blurred with deviation `sigma` by `size` pixels to each side and itself.
pub(super) fn at(x: &[f32], [height, width]: [usize; 2], [i, j]: [usize; 2], size: usize, sigma: f64) -> f64 {
    if sigma <= 0.0 {
        return f64::from(x[i * width + j]);
    }
    let reach = (size / 2) as i32;
    let weight = |k: i32| (-0.5 * (f64::from(k) / sigma).powi(2)).exp();
    let place = |at: usize, k: i32, size: usize| Border::Reflect.place(at as i32 + k, size).unwrap_or(at);
    let all: f64 = (-reach..=reach).map(weight).sum();
    let line = |row: usize| -> f64 {
        (-reach..=reach).map(|k| weight(k) * f64::from(x[row * width + place(j, k, width)])).sum::<f64>() / all
    };
    (-reach..=reach).map(|k| weight(k) * line(place(i, k, height))).sum::<f64>() / all
}

pub(super) fn launch(
    [n, channels, height, width]: [usize; 4],
    size: usize,
    launch: &mut Launch<'_>,
) -> Result<(), Unsupported> {
    launch.expect_loop(size)?;
    let count = n * channels * height * width;
    let between = launch.scratch(count);
    let line = |stride: usize, length: usize| {
        let sizes = [("STRIDE", stride), ("LENGTH", length), ("REACH", size / 2), ("ELEMENTS", count / n)];
        Kernel::new(&BLUR).constants(sizes)
    };
    let draws = ("draws", Operand::input(1));
    launch.linear(line(1, width), count, [("x", Operand::input(0)), draws, ("y", between)]);
    launch.linear(line(width, height), count, [("x", between), draws, ("y", Operand::output(0))]);
    Ok(())
}
