//! `inverse`: as 1 / t.

use crate::optim::schedule::Form;
use crate::optim::{Attribute, Range, Takes};

static ATTRIBUTES: [Attribute; 1] =
    [Attribute::new("k", Takes::Needed(Range::NotNegative), "1 over the steps to half of the rate")];

pub(super) static FORM: Form = Form::new("inverse", "lr / (1 + k t)", &ATTRIBUTES, |of, base_lr, step| {
    base_lr / (1.0 + of.number("k") * step as f64)
});
