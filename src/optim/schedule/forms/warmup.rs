//! `warmup`: linearly up to the first rate of any schedule, which follows.

use super::START_FACTOR;
use super::linear_warmup::warmup_factor;
use crate::optim::schedule::Form;
use crate::optim::schedule::form::Follows;
use crate::optim::{Attribute, Takes};

static ATTRIBUTES: [Attribute; 2] =
    [Attribute::new("steps", Takes::Steps(0), "steps before the next schedule"), START_FACTOR];

/// Its rate is that of the steps before the next schedule, whose first rate is the base rate.
pub(super) static FORM: Form = Form {
    warmup: |of| of.count("steps"),
    follows: Follows::One,
    ..Form::new(
        "warmup",
        "from start_factor times the next schedule's first rate up to it, in steps; the next schedule, after `/`, counts t \
         from there",
        &ATTRIBUTES,
        |of, base_lr, step| base_lr * warmup_factor(of.number("start_factor"), step, of.count("steps")),
    )
};
