//! The schedules of this crate, one in each file.

mod constant;
mod constant_factor;
mod cosine;
mod cosine_warm_restarts;
mod cyclic;
mod exponential;
mod inverse;
mod inverse_sqrt;
mod linear;
mod linear_warmup;
mod linear_warmup_cosine;
mod multistep;
mod one_cycle;
mod plateau;
mod polynomial;
mod sequential;
mod step;
mod warmup;

use super::Form;
use crate::optim::{Attribute, Range, Takes};

/// Every schedule of this crate.
pub const ALL: &[&Form] = &[
    &constant::FORM,
    &constant_factor::FORM,
    &step::FORM,
    &multistep::FORM,
    &exponential::FORM,
    &cosine::FORM,
    &cosine_warm_restarts::FORM,
    &linear::FORM,
    &linear_warmup::FORM,
    &linear_warmup_cosine::FORM,
    &polynomial::FORM,
    &inverse::FORM,
    &inverse_sqrt::FORM,
    &one_cycle::FORM,
    &cyclic::FORM,
    &plateau::FORM,
    &warmup::FORM,
    &sequential::FORM,
];

const GAMMA: Attribute =
    Attribute::new("gamma", Takes::Number(0.1, Range::NotNegative), "what the rate is multiplied by");
const ETA_MIN: Attribute = Attribute::new("eta_min", Takes::Number(0.0, Range::NotNegative), "the least rate");
const START_FACTOR: Attribute =
    Attribute::new("start_factor", Takes::Number(1.0 / 3.0, Range::NotNegative), "the first rate, as a factor");
const T_MAX: Attribute = Attribute::new("T_max", Takes::StepsToEnd(None), "steps down to the least rate");

const fn total_iters(default: Option<u64>, about: &'static str) -> Attribute {
    Attribute::new("total_iters", Takes::StepsToEnd(default), about)
}
