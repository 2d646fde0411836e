//! `exponential`: falls by a factor in each step.

use crate::optim::schedule::Form;
use crate::optim::{Attribute, Range, Takes};

static ATTRIBUTES: [Attribute; 1] =
    [Attribute::new("gamma", Takes::Needed(Range::NotNegative), "what the rate is multiplied by in each step")];

pub(super) static FORM: Form = Form::new("exponential", "lr gamma^t", &ATTRIBUTES, |of, base_lr, step| {
    base_lr * of.number("gamma").powf(step as f64)
});
