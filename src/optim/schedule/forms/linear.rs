//! `linear`: from one factor to another.

use super::total_iters;
use crate::optim::schedule::Form;
use crate::optim::{Attribute, Range, Takes};

static ATTRIBUTES: [Attribute; 3] = [
    total_iters(None, "steps from the first rate to the last"),
    Attribute::new("start_factor", Takes::Number(1.0, Range::NotNegative), "the first rate, as a factor"),
    Attribute::new("end_factor", Takes::Number(0.0, Range::NotNegative), "the last rate, as a factor"),
];

pub(super) static FORM: Form = Form::new(
    "linear",
    "lr (start_factor + (end_factor - start_factor) min(t, T) / T), T = total_iters",
    &ATTRIBUTES,
    |of, base_lr, step| {
        let (total, start) = (of.count("total_iters"), of.number("start_factor"));
        let done = step.min(total) as f64 / total as f64;
        base_lr * (start + (of.number("end_factor") - start) * done)
    },
);
