//! `adamax`: Adam with the largest decayed gradient in place of the root of an averaged square.

use super::{betas, larger, shares, unbias};
use crate::kernel::{Kernel, Shader, write};
use crate::optim::{Attribute, Direction, Element, Range, Rule, Takes, Values};

static SHADER: Shader = Shader::new("optimizer/rules/adamax", &[write("exp_avg"), write("exp_inf")]);

static ATTRIBUTES: [Attribute; 3] = [
    betas([0.9, 0.999], "decay of the averaged and of the largest gradient"),
    Attribute::new("eps", Takes::Number(1e-8, Range::NotNegative), "added to the size of each gradient"),
    Attribute::weight_decay(0.0),
];

/// Kingma and Ba 2015, section 7.1. Weight decay is added to the gradient.
pub struct Adamax;

impl Rule for Adamax {
    fn name(&self) -> &'static str {
        "adamax"
    }

    fn about(&self) -> &'static str {
        "the averaged gradient over the largest one so far, which decays (Kingma and Ba 2015, section 7.1)"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        shares(step.operands(&SHADER), of.pair("betas")).constant("EPS", of.number("eps") as f32)
    }

    fn factors(&self, of: &Values, step: u64) -> [f64; 3] {
        [unbias(of.pair("betas")[0], step), 0.0, 0.0]
    }

    fn reference(&self, of: &Values) -> Direction {
        let ([beta1, beta2], eps) = (of.pair("betas"), of.number("eps"));
        Box::new(move |state, Element { g, scalars: [_, a, ..], .. }| {
            state[0] = beta1 * state[0] + (1.0 - beta1) * g;
            state[1] = larger(beta2 * state[1], g.abs() + eps);
            a * state[0] / state[1]
        })
    }

    fn cases(&self) -> &'static [&'static str] {
        &["betas=0.8+0.6,eps=1e-3,weight_decay=0.1"]
    }
}
