//! `adagrad`: gradients over the root of the sum of their squares.

use super::eps;
use crate::kernel::{Kernel, Shader, write};
use crate::optim::{Attribute, Direction, Element, Range, Rule, Takes, Values};

static SHADER: Shader = Shader::new("optimizer/rules/adagrad", &[write("sum")]);

static ATTRIBUTES: [Attribute; 4] = [
    Attribute::new("lr_decay", Takes::Number(0.0, Range::NotNegative), "in step t, the rate is over 1 + this times t"),
    eps(1e-10),
    Attribute::weight_decay(0.0),
    Attribute::new("initial_accumulator_value", Takes::Number(0.0, Range::NotNegative), "what the sums start from"),
];

/// Duchi et al. 2011.
pub struct Adagrad;

impl Rule for Adagrad {
    fn name(&self) -> &'static str {
        "adagrad"
    }

    fn about(&self) -> &'static str {
        "gradients over the root of the sum of their squares (Duchi et al. 2011)"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        step.operands(&SHADER).constant("EPS", of.number("eps") as f32)
    }

    fn start(&self, of: &Values, _: &str) -> f32 {
        of.number("initial_accumulator_value") as f32
    }

    fn factors(&self, of: &Values, step: u64) -> [f64; 3] {
        [1.0 / (1.0 + step as f64 * of.number("lr_decay")), 0.0, 0.0]
    }

    fn reference(&self, of: &Values) -> Direction {
        let eps = of.number("eps");
        Box::new(move |state, Element { g, scalars, .. }| {
            state[0] += g * g;
            scalars[1] * g / (state[0].sqrt() + eps)
        })
    }

    fn cases(&self) -> &'static [&'static str] {
        &["lr_decay=0.1,initial_accumulator_value=0.2"]
    }
}
