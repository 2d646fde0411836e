//! Values by name: what both sides of a model case fill its tensors with.

use crate::random::{fnv1a64, splitmix64};
use crate::tensor::Shape;

/// 64 random bits of element `index` of the tensor `name`.
pub(super) fn raw(name: &str, index: usize) -> u64 {
    let step = (index as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    splitmix64(fnv1a64(name.as_bytes()).wrapping_add(step))
}

/// Uniform in [-1, 1), with 24 bits: exact in f32.
fn uniform(name: &str, index: usize) -> f64 {
    (raw(name, index) >> 40) as f64 / f64::from(1u32 << 23) - 1.0
}

/// The input's values.
pub(super) fn input(elements: usize) -> Vec<f32> {
    (0..elements).map(|index| uniform("input", index) as f32).collect()
}

/// The target of each row.
pub(super) fn targets(rows: usize, classes: usize) -> Vec<u32> {
    (0..rows).map(|row| (raw("target", row) % classes.max(1) as u64) as u32).collect()
}

/// The values of a parameter or buffer: the number of dimensions decides, then the name.
pub(super) fn tensor(name: &str, shape: &Shape) -> Vec<f32> {
    let value: Box<dyn Fn(f64) -> f64> = if shape.len() >= 2 {
        let fan_in: usize = shape[1..].iter().product();
        let bound = (6.0 / fan_in.max(1) as f64).sqrt();
        Box::new(move |v| v * bound)
    } else if name.ends_with("bias") || name.ends_with("running_mean") {
        Box::new(|v| 0.1 * v)
    } else if name.ends_with("running_var") {
        Box::new(|v| 1.0 + 0.5 * v.abs())
    } else {
        Box::new(|v| 1.0 + 0.1 * v)
    };
    (0..shape.elements()).map(|index| value(uniform(name, index)) as f32).collect()
}
