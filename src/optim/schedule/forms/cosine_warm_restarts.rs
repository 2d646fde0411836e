//! `cosine_warm_restarts` (Loshchilov and Hutter 2017, equation 5).

use super::ETA_MIN;
use super::cosine::cosine;
use crate::optim::schedule::Form;
use crate::optim::{Attribute, Takes};

static ATTRIBUTES: [Attribute; 3] = [
    Attribute::new("T_0", Takes::Steps(1), "steps of the first period"),
    Attribute::new("T_mult", Takes::Count(1, [1, u64::MAX]), "each period is so many times as long as the last"),
    ETA_MIN,
];

pub(super) static FORM: Form = Form::new(
    "cosine_warm_restarts",
    "cosine with t counted from the last restart; the periods are T_0, T_0 T_mult, ...",
    &ATTRIBUTES,
    |of, base_lr, step| {
        let (since_restart, period) = position_in_period(step, of.count("T_0"), of.count("T_mult"));
        cosine(base_lr, of.number("eta_min"), since_restart, period)
    },
);

/// The steps since the last warm restart, and the length of the period that it began.
fn position_in_period(step: u64, first_period: u64, growth: u64) -> (u64, u64) {
    if growth == 1 {
        return (step % first_period, first_period);
    }
    let (mut since_restart, mut period) = (step, first_period);
    while since_restart >= period {
        since_restart -= period;
        period = period.saturating_mul(growth);
    }
    (since_restart, period)
}
