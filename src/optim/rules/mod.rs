//! The optimizers of this crate, one in each file.

mod adadelta;
mod adagrad;
mod adam;
mod adamax;
mod adamw;
mod lamb;
mod lion;
mod muon;
mod nadam;
mod radam;
mod rmsprop;
mod sgd;
mod signsgd;

pub use adadelta::Adadelta;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamax::Adamax;
pub use adamw::AdamW;
pub use lamb::Lamb;
pub use lion::Lion;
pub use muon::Muon;
pub use nadam::NAdam;
pub use radam::RAdam;
pub use rmsprop::RmsProp;
pub use sgd::Sgd;
pub use signsgd::SignSgd;

use super::rule::share;
use super::{Attribute, Range, Takes};
use crate::kernel::Kernel;

/// The decay of two running averages, which lie below 1.
const fn betas(default: [f64; 2], about: &'static str) -> Attribute {
    Attribute::new("betas", Takes::Pair(default, Range::BelowOne), about)
}

const fn eps(default: f64) -> Attribute {
    Attribute::new("eps", Takes::Number(default, Range::NotNegative), "added to the root that is divided by")
}

/// The shares of `betas`: `BETA1`, `ONE_LESS_BETA1`, `BETA2` and `ONE_LESS_BETA2`.
fn shares(kernel: Kernel, [first, second]: [f64; 2]) -> Kernel {
    let kernel = share(kernel, ["BETA1", "ONE_LESS_BETA1"], first);
    share(kernel, ["BETA2", "ONE_LESS_BETA2"], second)
}

/// What an average of `beta` that starts at 0 is multiplied by after that step, counted from 0.
fn unbias(beta: f64, step: u64) -> f64 {
    1.0 / (1.0 - beta.powf((step + 1) as f64))
}

/// The larger of two numbers, NaN where one is.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}
