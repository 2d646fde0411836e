//! `adadelta`: gradients times the root of the averaged square of past steps over that of the gradients.

use crate::kernel::{Kernel, Shader, write};
use crate::optim::{Attribute, Direction, Element, Range, Rule, Takes, Values, share};

static SHADER: Shader = Shader::new("optimizer/rules/adadelta", &[write("square_avg"), write("acc_delta")]);

static ATTRIBUTES: [Attribute; 3] = [
    Attribute::new("rho", Takes::Number(0.9, Range::BelowOne), "decay of the averages of squares"),
    Attribute::new("eps", Takes::Number(1e-6, Range::NotNegative), "added to the squares before their roots are taken"),
    Attribute::weight_decay(0.0),
];

/// Zeiler 2012. Weight decay is added to the gradient.
pub struct Adadelta;

impl Rule for Adadelta {
    fn name(&self) -> &'static str {
        "adadelta"
    }

    fn about(&self) -> &'static str {
        "gradients times the root of the averaged square of its steps, over that of the gradients; it is made for a rate of 1 \
         (Zeiler 2012)"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        share(step.operands(&SHADER), ["RHO", "ONE_LESS_RHO"], of.number("rho"))
            .constant("EPS", of.number("eps") as f32)
    }

    fn reference(&self, of: &Values) -> Direction {
        let (rho, eps) = (of.number("rho"), of.number("eps"));
        Box::new(move |state, Element { g, .. }| {
            state[0] = rho * state[0] + (1.0 - rho) * g * g;
            let direction = (state[1] + eps).sqrt() / (state[0] + eps).sqrt() * g;
            state[1] = rho * state[1] + (1.0 - rho) * direction * direction;
            direction
        })
    }

    fn cases(&self) -> &'static [&'static str] {
        &["rho=0.6,eps=1e-3,weight_decay=0.1"]
    }
}
