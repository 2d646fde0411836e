//! `signsgd`: the sign of the averaged gradient.

use crate::kernel::{Kernel, Shader, write};
use crate::optim::gradient::sign;
use crate::optim::{Attribute, Direction, Element, Range, Rule, Takes, Values, share};

static SHADER: Shader = Shader::new("optimizer/rules/signsgd", &[write("momentum")]);

static ATTRIBUTES: [Attribute; 2] = [
    Attribute::new("momentum", Takes::Number(0.0, Range::BelowOne), "decay of the average of gradients"),
    Attribute::weight_decay(0.0),
];

/// Sign of the averaged gradient (Bernstein et al. 2018).
pub struct SignSgd;

impl Rule for SignSgd {
    fn name(&self) -> &'static str {
        "signsgd"
    }

    fn about(&self) -> &'static str {
        "the sign of the averaged gradient (Bernstein et al. 2018)"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        share(step.operands(&SHADER), ["MOMENTUM", "ONE_LESS_MOMENTUM"], of.number("momentum"))
    }

    fn reference(&self, of: &Values) -> Direction {
        let momentum = of.number("momentum");
        Box::new(move |state, Element { g, .. }| {
            state[0] = momentum * state[0] + (1.0 - momentum) * g;
            sign(state[0])
        })
    }

    fn cases(&self) -> &'static [&'static str] {
        &["momentum=0.7"]
    }
}
