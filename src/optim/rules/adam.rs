//! `adam`, and what `adamw` has of it.

use super::{betas, eps, larger, shares, unbias};
use crate::kernel::{Kernel, Shader, write};
use crate::optim::{Attribute, Direction, Element, Rule, Takes, Values};

static SHADER: Shader = Shader::new(
    "optimizer/rules/adam",
    &[write("exp_avg"), write("exp_avg_sq"), write("max_exp_avg_sq").when("amsgrad")],
);

static ATTRIBUTES: [Attribute; 4] = [BETAS, eps(1e-8), Attribute::weight_decay(0.0), AMSGRAD];

pub(super) const BETAS: Attribute = betas([0.9, 0.999], "decay of the averages of the gradient and of its square");
pub(super) const AMSGRAD: Attribute = Attribute::new(
    "amsgrad",
    Takes::Flag(false),
    "divides by the largest average of squares so far (Reddi et al. 2018)",
);

/// Kingma and Ba 2015; AMSGrad: Reddi et al. 2018. Weight decay is added to the gradient.
pub struct Adam;

impl Rule for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn about(&self) -> &'static str {
        "the averaged gradient over the root of its averaged square (Kingma and Ba 2015); weight decay is added to the \
         gradient"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        shares(step.operands(&SHADER), of.pair("betas"))
            .constant("EPS", of.number("eps") as f32)
            .condition("amsgrad", of.flag("amsgrad"))
    }

    fn factors(&self, of: &Values, step: u64) -> [f64; 3] {
        let [first, second] = of.pair("betas");
        [unbias(first, step), unbias(second, step), 0.0]
    }

    fn reference(&self, of: &Values) -> Direction {
        let ([beta1, beta2], eps) = (of.pair("betas"), of.number("eps"));
        Box::new(move |state, Element { g, scalars: [_, a, b, ..], .. }| {
            state[0] = beta1 * state[0] + (1.0 - beta1) * g;
            state[1] = beta2 * state[1] + (1.0 - beta2) * g * g;
            let square = match state {
                [_, square, largest] => {
                    *largest = larger(*largest, *square);
                    *largest
                }
                _ => state[1],
            };
            a * state[0] / ((square * b).sqrt() + eps)
        })
    }

    fn cases(&self) -> &'static [&'static str] {
        &["weight_decay=0.1", "amsgrad=true,betas=0.8+0.99"]
    }
}
