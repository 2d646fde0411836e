//! `linear_warmup_cosine`: one after the other.

use super::cosine::cosine;
use super::linear_warmup::warmup_factor;
use super::{ETA_MIN, START_FACTOR, T_MAX};
use crate::optim::schedule::Form;
use crate::optim::{Attribute, Takes};

static ATTRIBUTES: [Attribute; 4] =
    [START_FACTOR, Attribute::new("warmup_steps", Takes::Steps(0), "steps up to the base rate"), T_MAX, ETA_MIN];

pub(super) static FORM: Form = Form {
    turn: |of| Some(of.count("warmup_steps").saturating_add(of.count("T_max"))),
    warmup: |of| of.count("warmup_steps"),
    ..Form::new(
        "linear_warmup_cosine",
        "linear_warmup over warmup_steps, then cosine",
        &ATTRIBUTES,
        |of, base_lr, step| match step.checked_sub(of.count("warmup_steps")) {
            None => base_lr * warmup_factor(of.number("start_factor"), step, of.count("warmup_steps")),
            Some(after) => cosine(base_lr, of.number("eta_min"), after, of.count("T_max")),
        },
    )
};
