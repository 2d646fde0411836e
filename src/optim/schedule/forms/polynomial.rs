//! `polynomial`: down to 0.

use super::total_iters;
use crate::optim::schedule::Form;
use crate::optim::{Attribute, Range, Takes};

static ATTRIBUTES: [Attribute; 2] = [
    total_iters(Some(5), "steps down to 0"),
    Attribute::new("power", Takes::Number(1.0, Range::NotNegative), "1 for a line"),
];

pub(super) static FORM: Form =
    Form::new("polynomial", "lr (1 - min(t, T) / T)^power, T = total_iters", &ATTRIBUTES, |of, base_lr, step| {
        let total = of.count("total_iters");
        base_lr * (1.0 - step.min(total) as f64 / total as f64).powf(of.number("power"))
    });
