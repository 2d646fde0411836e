//! `lion`: the sign of an interpolation of momentum and gradient.

use super::{betas, shares};
use crate::kernel::{Kernel, Shader, write};
use crate::optim::gradient::sign;
use crate::optim::{Attribute, Decay, Direction, Element, Rule, Values};

static SHADER: Shader = Shader::new("optimizer/rules/lion", &[write("exp_avg")]);

static ATTRIBUTES: [Attribute; 2] =
    [betas([0.9, 0.99], "shares of momentum in the direction, and in momentum itself"), Attribute::weight_decay(0.0)];

/// Chen et al. 2023.
pub struct Lion;

impl Rule for Lion {
    fn name(&self) -> &'static str {
        "lion"
    }

    fn about(&self) -> &'static str {
        "the sign of an interpolation of momentum and gradient (Chen et al. 2023)"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn decay(&self) -> Decay {
        Decay::Parameter
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        shares(step.operands(&SHADER), of.pair("betas"))
    }

    fn reference(&self, of: &Values) -> Direction {
        let [beta1, beta2] = of.pair("betas");
        Box::new(move |state, Element { g, .. }| {
            let direction = sign(beta1 * state[0] + (1.0 - beta1) * g);
            state[0] = beta2 * state[0] + (1.0 - beta2) * g;
            direction
        })
    }

    fn cases(&self) -> &'static [&'static str] {
        &["weight_decay=0.1"]
    }
}
