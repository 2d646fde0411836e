//! `sequential`: schedules one after the other, each of which counts its steps from its own beginning.

use crate::optim::schedule::Form;
use crate::optim::schedule::form::Follows;
use crate::optim::{Attribute, Takes};

static ATTRIBUTES: [Attribute; 1] =
    [Attribute::new("milestones", Takes::StepList, "where the next schedule begins, each after the one before")];

/// What follows it says the rate.
pub(super) static FORM: Form = Form {
    follows: Follows::Sequence,
    ..Form::new(
        "sequential",
        "the schedules after it, parted by `/`, one more than milestones, as in \
         sequential:milestones=10epochs/constant_factor:total_iters=5epochs/cosine; each counts t from where it begins, and \
         ends, where no length is given, at the next milestone",
        &ATTRIBUTES,
        |_, base_lr, _| base_lr,
    )
};
