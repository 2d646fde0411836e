//! `radam`: Adam whose first steps, of an uncertain variance, are momentum's.

use super::{betas, eps, shares, unbias};
use crate::kernel::{Kernel, Shader, write};
use crate::optim::{Attribute, Direction, Element, Rule, Values};

static SHADER: Shader = Shader::new("optimizer/rules/radam", &[write("exp_avg"), write("exp_avg_sq")]);

static ATTRIBUTES: [Attribute; 3] = [
    betas([0.9, 0.999], "decay of the averages of the gradient and of its square"),
    eps(1e-8),
    Attribute::weight_decay(0.0),
];

/// From this length of the average of squares on, its variance is known well enough (Liu et al. 2020 have 4, PyTorch 5).
const LEAST_LENGTH: f64 = 5.0;

/// Liu et al. 2020, as PyTorch has it. Weight decay is added to the gradient.
pub struct RAdam;

impl Rule for RAdam {
    fn name(&self) -> &'static str {
        "radam"
    }

    fn about(&self) -> &'static str {
        "Adam that divides by the root of the averaged square only once its variance is known, and less at first (Liu et al. \
         2020)"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        shares(step.operands(&SHADER), of.pair("betas")).constant("EPS", of.number("eps") as f32)
    }

    /// The correction of the average of gradients, what is divided by the root, and 1 in the steps that do without it.
    fn factors(&self, of: &Values, step: u64) -> [f64; 3] {
        let [beta1, beta2] = of.pair("betas");
        let (t, unbias2) = ((step + 1) as f64, unbias(beta2, step));
        let last = 2.0 / (1.0 - beta2) - 1.0;
        let length = last - 2.0 * t * beta2.powf(t) * unbias2;
        match length > LEAST_LENGTH {
            true => {
                let variance = |length: f64| (length - 4.0) * (length - 2.0) / length;
                [unbias(beta1, step), (variance(length) / variance(last) / unbias2).sqrt(), 0.0]
            }
            false => [unbias(beta1, step), 0.0, 1.0],
        }
    }

    fn reference(&self, of: &Values) -> Direction {
        let ([beta1, beta2], eps) = (of.pair("betas"), of.number("eps"));
        Box::new(move |state, Element { g, scalars: [_, a, b, plain, _], .. }| {
            state[0] = beta1 * state[0] + (1.0 - beta1) * g;
            state[1] = beta2 * state[1] + (1.0 - beta2) * g * g;
            a * state[0] * (b / (state[1].sqrt() + eps) + plain)
        })
    }

    fn cases(&self) -> &'static [&'static str] {
        &["weight_decay=0.1,betas=0.8+0.95"]
    }
}
