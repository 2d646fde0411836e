//! `linear_warmup`: up to the base rate, which stays.

use super::{START_FACTOR, total_iters};
use crate::optim::Attribute;
use crate::optim::schedule::Form;

static ATTRIBUTES: [Attribute; 2] = [START_FACTOR, total_iters(Some(5), "steps up to the base rate")];

pub(super) static FORM: Form = Form::new(
    "linear_warmup",
    "lr (f + (1 - f) min(t, T) / T), f = start_factor, T = total_iters",
    &ATTRIBUTES,
    |of, base_lr, step| base_lr * warmup_factor(of.number("start_factor"), step, of.count("total_iters")),
);

/// From `start_factor` at step 0 to 1 at `total` and after.
pub(super) fn warmup_factor(start_factor: f64, step: u64, total: u64) -> f64 {
    start_factor + (1.0 - start_factor) * (step.min(total) as f64 / total as f64)
}
