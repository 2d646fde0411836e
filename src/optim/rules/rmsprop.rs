//! `rmsprop`: gradients over the root of their running square.

use super::{eps, larger};
use crate::kernel::{Kernel, Shader, write};
use crate::optim::{Attribute, Direction, Element, Range, Rule, Takes, Values, share};

static SHADER: Shader = Shader::new(
    "optimizer/rules/rmsprop",
    &[write("square_avg"), write("grad_avg").when("centered"), write("momentum").when("momentum")],
);

static ATTRIBUTES: [Attribute; 6] = [
    Attribute::new("alpha", Takes::Number(0.99, Range::BelowOne), "decay of the average of squares"),
    eps(1e-8),
    Attribute::weight_decay(0.0),
    Attribute::new("momentum", Takes::Number(0.0, Range::NotNegative), "share of the last direction that goes on"),
    Attribute::new("centered", Takes::Flag(false), "divides by the deviation: the gradient's average is taken off"),
    Attribute::new(
        "tensorflow",
        Takes::Flag(false),
        "as TensorFlow and timm's rmsproptf have it: eps is added under the root, the average of squares starts from 1, and \
         the momentum is of steps with the rate that each had",
    ),
];

/// Centred, it takes no variance for less than this share of the mean square: what is less is the rounding of the two
/// averages, and a gradient over its root anything.
const LEAST_SPREAD: f64 = 1.192_092_9e-7;

/// Hinton's lecture 6e (2012).
pub struct RmsProp;

impl Rule for RmsProp {
    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn about(&self) -> &'static str {
        "gradients over the root of their running square (Hinton's lecture 6e, 2012)"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        share(step.operands(&SHADER), ["ALPHA", "ONE_LESS_ALPHA"], of.number("alpha"))
            .constant("EPS", of.number("eps") as f32)
            .constant("MOMENTUM", of.number("momentum") as f32)
            .constant("LEAST_SPREAD", LEAST_SPREAD as f32)
            .condition("centered", of.flag("centered"))
            .condition("momentum", of.number("momentum") > 0.0)
            .condition("tensorflow", of.flag("tensorflow"))
    }

    fn start(&self, of: &Values, state: &str) -> f32 {
        if of.flag("tensorflow") && state == "square_avg" { 1.0 } else { 0.0 }
    }

    fn reference(&self, of: &Values) -> Direction {
        let (alpha, eps, momentum) = (of.number("alpha"), of.number("eps"), of.number("momentum"));
        let [centered, tensorflow] = ["centered", "tensorflow"].map(|flag| of.flag(flag));
        Box::new(move |state, Element { g, scalars: [rate, ..], .. }| {
            state[0] = alpha * state[0] + (1.0 - alpha) * g * g;
            let mut spread = state[0];
            if centered {
                state[1] += (1.0 - alpha) * (g - state[1]);
                spread = larger(spread - state[1] * state[1], LEAST_SPREAD * spread);
            }
            let direction = g / if tensorflow { (spread + eps).sqrt() } else { spread.sqrt() + eps };
            match state.get_mut(1 + usize::from(centered)) {
                Some(buffer) if tensorflow => {
                    *buffer = momentum * *buffer + rate * direction;
                    if rate > 0.0 { *buffer / rate } else { 0.0 }
                }
                Some(buffer) => {
                    *buffer = momentum * *buffer + direction;
                    *buffer
                }
                None => direction,
            }
        })
    }

    fn cases(&self) -> &'static [&'static str] {
        &["momentum=0.5", "centered=true,momentum=0.5", "tensorflow=true,momentum=0.5,eps=0.001"]
    }
}
