//! `cosine` (Loshchilov and Hutter 2017, equation 5, without the restarts).

use super::{ETA_MIN, T_MAX};
use crate::optim::Attribute;
use crate::optim::schedule::Form;
use std::f64::consts::PI;

static ATTRIBUTES: [Attribute; 2] = [T_MAX, ETA_MIN];

pub(super) static FORM: Form = Form {
    turn: |of| Some(of.count("T_max")),
    ..Form::new(
        "cosine",
        "eta_min + (lr - eta_min) (1 + cos(pi t / T_max)) / 2, which rises again past T_max",
        &ATTRIBUTES,
        |of, base_lr, step| cosine(base_lr, of.number("eta_min"), step, of.count("T_max")),
    )
};

pub(super) fn cosine(base_lr: f64, eta_min: f64, step: u64, half_period: u64) -> f64 {
    // The angle is reduced in integers, so a long run loses no precision to a large argument.
    let reduced = step % half_period.saturating_mul(2);
    let angle = PI * reduced as f64 / half_period as f64;
    eta_min + (base_lr - eta_min) * (1.0 + angle.cos()) / 2.0
}
