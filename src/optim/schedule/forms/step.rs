//! `step`: falls every so many steps.

use super::GAMMA;
use crate::optim::schedule::Form;
use crate::optim::{Attribute, Takes};

static ATTRIBUTES: [Attribute; 2] = [Attribute::new("step_size", Takes::Steps(1), "steps between falls"), GAMMA];

pub(super) static FORM: Form = Form::new("step", "lr gamma^floor(t / step_size)", &ATTRIBUTES, |of, base_lr, step| {
    base_lr * of.number("gamma").powf((step / of.count("step_size")) as f64)
});
