//! What is done to a gradient before the rule sees it.

use super::OptimizerError;
use crate::kernel::Kernel;
use serde::{Deserialize, Serialize};

/// What is done to a gradient before the rule sees it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GradientTransform {
    /// Adds l1 * sign(parameter).
    pub l1: f64,
    /// Limits each element to [-c, c].
    pub clip_grad_value: Option<f64>,
    /// Scales all gradients by min(1, m / (norm + 1e-6)), norm over all parameters together.
    pub clip_grad_norm: Option<f64>,
    /// Turns all gradients around, so that the loss becomes large.
    pub maximize: bool,
}

impl GradientTransform {
    /// Checks the ranges of l1 and of what gradients are clipped to.
    ///
    /// # Errors
    /// The first out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        let finite = |value: f64| (value as f32).is_finite();
        let refuse = |attribute, value: f64, expected: &str| {
            Err(OptimizerError::OutOfRange { attribute, value: value.to_string(), expected: expected.to_owned() })
        };
        if !(finite(self.l1) && self.l1 >= 0.0) {
            return refuse("l1", self.l1, "a finite number of at least 0");
        }
        for (attribute, value) in [("clip_grad_value", self.clip_grad_value), ("clip_grad_norm", self.clip_grad_norm)] {
            if let Some(value) = value.filter(|value| !(finite(*value) && *value > 0.0)) {
                return refuse(attribute, value, "a finite number above 0");
            }
        }
        Ok(())
    }

    /// The gradient with l1 and value clipping; p is its parameter.
    pub(super) fn apply(&self, gradient: f64, p: f64) -> f64 {
        let gradient = gradient + self.l1 * sign(p);
        let gradient = self.clip_grad_value.map_or(gradient, |limit| gradient.clamp(-limit, limit));
        // What scales by the norm after it does the same on either side.
        if self.maximize { -gradient } else { gradient }
    }

    /// What `optimizer/transform.wgsl` reads.
    pub(super) fn kernel(&self, kernel: Kernel) -> Kernel {
        kernel
            .constant("L1", self.l1 as f32)
            .constant("CLIP_VALUE", self.clip_grad_value.unwrap_or(0.0) as f32)
            .condition("l1", self.l1 > 0.0)
            .condition("clip_value", self.clip_grad_value.is_some())
            .condition("maximize", self.maximize)
    }
}

/// -1, 0 or 1, NaN for NaN.
pub(super) fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}
