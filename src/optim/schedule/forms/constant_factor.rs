//! `constant_factor`: a share of the rate for some steps, and then all of it.

use super::START_FACTOR;
use crate::optim::schedule::Form;
use crate::optim::{Attribute, Takes};

static ATTRIBUTES: [Attribute; 2] = [
    Attribute { name: "factor", about: "what the rate is multiplied by", ..START_FACTOR },
    Attribute::new("total_iters", Takes::StepsOr(5, 0), "steps at that rate"),
];

pub(super) static FORM: Form =
    Form::new("constant_factor", "lr factor up to total_iters, then lr", &ATTRIBUTES, |of, base_lr, step| {
        if step < of.count("total_iters") { base_lr * of.number("factor") } else { base_lr }
    });
