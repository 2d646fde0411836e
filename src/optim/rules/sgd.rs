//! `sgd`: stochastic gradient descent, with momentum.

use crate::kernel::{Kernel, Shader, write};
use crate::optim::{Attribute, Direction, Element, Range, Rule, Takes, Values, share};

static SHADER: Shader = Shader::new("optimizer/rules/sgd", &[write("momentum").when("momentum")]);

static ATTRIBUTES: [Attribute; 4] = [
    Attribute::new("momentum", Takes::Number(0.0, Range::NotNegative), "share of the last direction that goes on"),
    Attribute::new("dampening", Takes::Number(0.0, Range::Finite), "share of the gradient that momentum leaves out"),
    Attribute::new("nesterov", Takes::Flag(false), "looks a step of momentum ahead"),
    Attribute::weight_decay(0.0),
];

/// Stochastic gradient descent with momentum (Polyak 1964; Nesterov 1983).
pub struct Sgd;

impl Rule for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn about(&self) -> &'static str {
        "stochastic gradient descent with momentum (Polyak 1964; Nesterov 1983)"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn check(&self, of: &Values) -> Result<(), (&'static str, &'static str)> {
        match of.flag("nesterov") && (of.number("momentum") == 0.0 || of.number("dampening") != 0.0) {
            true => Err(("momentum", "above 0, with dampening 0, for Nesterov momentum")),
            false => Ok(()),
        }
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        share(step.operands(&SHADER), ["DAMPENING", "ONE_LESS_DAMPENING"], of.number("dampening"))
            .constant("MOMENTUM", of.number("momentum") as f32)
            .condition("momentum", of.number("momentum") > 0.0)
            .condition("nesterov", of.flag("nesterov"))
    }

    fn reference(&self, of: &Values) -> Direction {
        let (momentum, dampening, nesterov) = (of.number("momentum"), of.number("dampening"), of.flag("nesterov"));
        Box::new(move |state, Element { g, scalars, .. }| match state {
            [buffer] => {
                *buffer = if scalars[4] > 0.0 { g } else { momentum * *buffer + (1.0 - dampening) * g };
                if nesterov { g + momentum * *buffer } else { *buffer }
            }
            _ => g,
        })
    }

    fn cases(&self) -> &'static [&'static str] {
        &["momentum=0.9,weight_decay=0.01", "momentum=0.9,dampening=0.3", "momentum=0.9,nesterov=true"]
    }
}
