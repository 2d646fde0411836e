//! `nadam`: Adam with Nesterov momentum.

use super::{betas, eps, shares, unbias};
use crate::kernel::{Kernel, Shader, write};
use crate::optim::{Attribute, Direction, Element, Range, Rule, Takes, Values};

static SHADER: Shader = Shader::new("optimizer/rules/nadam", &[write("exp_avg"), write("exp_avg_sq")]);

static ATTRIBUTES: [Attribute; 4] = [
    betas([0.9, 0.999], "decay of the averages of the gradient and of its square"),
    eps(1e-8),
    Attribute::weight_decay(0.0),
    Attribute::new("momentum_decay", Takes::Number(4e-3, Range::NotNegative), "how fast momentum grows to its decay"),
];

/// Adam with Nesterov momentum (Dozat 2016).
pub struct NAdam;

impl Rule for NAdam {
    fn name(&self) -> &'static str {
        "nadam"
    }

    fn about(&self) -> &'static str {
        "Adam with Nesterov momentum (Dozat 2016)"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        shares(step.operands(&SHADER), of.pair("betas")).constant("EPS", of.number("eps") as f32)
    }

    fn factors(&self, of: &Values, step: u64) -> [f64; 3] {
        let ([beta1, beta2], decay) = (of.pair("betas"), of.number("momentum_decay"));
        let mu = |t: u64| beta1 * (1.0 - 0.5 * 0.96f64.powf(t as f64 * decay));
        let product: f64 = (1..=step + 1).map(mu).product();
        let next = mu(step + 2);
        [next / (1.0 - product * next), unbias(beta2, step), (1.0 - mu(step + 1)) / (1.0 - product)]
    }

    fn reference(&self, of: &Values) -> Direction {
        let ([beta1, beta2], eps) = (of.pair("betas"), of.number("eps"));
        Box::new(move |state, Element { g, scalars: [_, a, b, c, _], .. }| {
            state[0] = beta1 * state[0] + (1.0 - beta1) * g;
            state[1] = beta2 * state[1] + (1.0 - beta2) * g * g;
            (a * state[0] + c * g) / ((state[1] * b).sqrt() + eps)
        })
    }
}
