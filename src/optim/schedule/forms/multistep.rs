//! `multistep`: falls at given steps.

use super::GAMMA;
use crate::optim::schedule::Form;
use crate::optim::{Attribute, Takes};

static ATTRIBUTES: [Attribute; 2] = [Attribute::new("milestones", Takes::StepList, "where the rate falls"), GAMMA];

pub(super) static FORM: Form =
    Form::new("multistep", "lr gamma^(number of milestones up to t)", &ATTRIBUTES, |of, base_lr, step| {
        let passed = of.counts("milestones").iter().filter(|&&milestone| milestone <= step).count();
        base_lr * of.number("gamma").powf(passed as f64)
    });
