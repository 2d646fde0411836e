//! Resampling of a plane of bytes, to the bit as Pillow does it: separable, widened when it shrinks so that every pixel
//! counts, first along rows, then along columns, with fixed-point weights and bytes in between.

use super::Interpolation;
use std::ops::Range;

/// Bits after the point of a weight; a sum of 8-bit pixels by weights fits into an i32.
const PRECISION: u32 = 32 - 8 - 2;

/// The weights of the pixels that one pixel of the result is made of.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

impl Interpolation {
    /// Distance beyond which a pixel has no weight.
    fn support(self) -> f64 {
        match self {
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
        }
    }

    /// Weight of a pixel at the distance `x`; the cubic is Keys' with a = -1/2.
    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Interpolation::Bilinear if x < 1.0 => 1.0 - x,
            Interpolation::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Interpolation::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }

    /// For each of the pixels `wanted` of a line of `from` pixels that becomes one of `to`.
    fn taps(self, from: usize, to: usize, wanted: Range<usize>) -> Vec<Taps> {
        let scale = from as f64 / to as f64;
        let widening = scale.max(1.0);
        let support = self.support() * widening;
        let taps = |pixel: usize| {
            let center = (pixel as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            let weights = (first..end).map(|at| self.weight((at as f64 - center + 0.5) / widening));
            let weights: Vec<f64> = weights.collect();
            let sum: f64 = weights.iter().sum();
            let fixed = |weight: f64| (weight / sum * f64::from(1 << PRECISION)).round() as i32;
            Taps { first, weights: weights.into_iter().map(fixed).collect() }
        };
        wanted.map(taps).collect()
    }
}

/// The part `rows` by `columns` of a `plane` of `from` (height, width) after it is resampled to `to`; what lies outside
/// of the part is not computed.
pub(super) fn resample(
    plane: &[u8],
    from: (usize, usize),
    to: (usize, usize),
    (rows, columns): (Range<usize>, Range<usize>),
    interpolation: Interpolation,
) -> Vec<u8> {
    let across = interpolation.taps(from.1, to.1, columns.clone());
    let down = interpolation.taps(from.0, to.0, rows);
    // The rows of the source that the part needs.
    let first = down.first().map_or(0, |taps| taps.first);
    let end = down.last().map_or(0, |taps| taps.first + taps.weights.len());
    let mut narrowed = Vec::with_capacity((end - first) * across.len());
    for row in plane[first * from.1..end * from.1].chunks_exact(from.1) {
        match from.1 == to.1 {
            true => narrowed.extend_from_slice(&row[columns.clone()]),
            false => narrowed.extend(across.iter().map(|taps| {
                let pixels = &row[taps.first..][..taps.weights.len()];
                clip(pixels.iter().zip(&taps.weights).map(|(&pixel, weight)| i32::from(pixel) * weight).sum())
            })),
        }
    }
    if from.0 == to.0 {
        return narrowed;
    }
    let width = across.len();
    let mut sums = vec![0; width];
    let mut out = Vec::with_capacity(down.len() * width);
    for taps in &down {
        sums.fill(0);
        let lines = narrowed[(taps.first - first) * width..].chunks_exact(width.max(1));
        for (line, weight) in lines.zip(&taps.weights) {
            sums.iter_mut().zip(line).for_each(|(sum, &pixel)| *sum += i32::from(pixel) * weight);
        }
        out.extend(sums.iter().map(|&sum| clip(sum)));
    }
    out
}

/// Rounds a sum of weighted pixels.
fn clip(sum: i32) -> u8 {
    ((sum + (1 << (PRECISION - 1))) >> PRECISION).clamp(0, 255) as u8
}
