//! `adamw`: Adam with decoupled weight decay.

use super::Adam;
use super::adam::{AMSGRAD, BETAS};
use super::eps;
use crate::kernel::Kernel;
use crate::optim::{Attribute, Decay, Direction, Rule, Values};

static ATTRIBUTES: [Attribute; 4] = [BETAS, eps(1e-8), Attribute::weight_decay(0.01), AMSGRAD];

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
pub struct AdamW;

impl Rule for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn about(&self) -> &'static str {
        "Adam with decoupled weight decay (Loshchilov and Hutter 2019)"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn decay(&self) -> Decay {
        Decay::Parameter
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        Adam.kernel(of, step)
    }

    fn factors(&self, of: &Values, step: u64) -> [f64; 3] {
        Adam.factors(of, step)
    }

    fn reference(&self, of: &Values) -> Direction {
        Adam.reference(of)
    }

    fn cases(&self) -> &'static [&'static str] {
        &["weight_decay=0.3"]
    }
}
