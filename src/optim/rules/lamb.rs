//! `lamb`: Adam whose steps are as long, against the weights, in every tensor.

use super::adam::BETAS;
use super::{eps, shares, unbias};
use crate::graph::{Graph, GraphError};
use crate::kernel::{Kernel, Shader, write};
use crate::optim::{ApplyDirections, Attribute, Decay, Directed, Direction, Element, Rule, Takes, TrustRatios, Values};

static SHADER: Shader = Shader::new("optimizer/rules/lamb", &[write("exp_avg"), write("exp_avg_sq")]);

static ATTRIBUTES: [Attribute; 5] = [
    BETAS,
    eps(1e-6),
    Attribute::weight_decay(0.01),
    Attribute::new("trust_clip", Takes::Flag(false), "no step is longer than Adam's"),
    Attribute::new("always_adapt", Takes::Flag(false), "also where there is no weight decay"),
];

/// You et al. 2020, "Large batch optimization for deep learning", as timm's `Lamb` has it: the direction is Adam's with
/// the weight decay added, times ||p|| / ||direction|| of its tensor, which is not done where weight decay is 0. Its
/// gradients are clipped as those of other optimizers are, not by a norm of its own.
pub struct Lamb;

impl Rule for Lamb {
    fn name(&self) -> &'static str {
        "lamb"
    }

    fn about(&self) -> &'static str {
        "Adam's direction and the weight decay, times the norm of the weights over its own, tensor by tensor (You et al. \
         2020; as timm's Lamb, without its clipping); a tensor without weight decay goes as with Adam"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn decay(&self) -> Decay {
        Decay::Own
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        shares(step.operands(&SHADER), of.pair("betas"))
            .constant("EPS", of.number("eps") as f32)
            .constant("LAMB_DECAY", of.number("weight_decay") as f32)
    }

    fn factors(&self, of: &Values, step: u64) -> [f64; 3] {
        let [first, second] = of.pair("betas");
        [unbias(first, step), unbias(second, step), 0.0]
    }

    fn reference(&self, of: &Values) -> Direction {
        let ([beta1, beta2], eps, decay) = (of.pair("betas"), of.number("eps"), of.number("weight_decay"));
        Box::new(move |state, Element { p, g, scalars: [_, a, b, ..] }| {
            state[0] = beta1 * state[0] + (1.0 - beta1) * g;
            state[1] = beta2 * state[1] + (1.0 - beta2) * g * g;
            a * state[0] / ((state[1] * b).sqrt() + eps) + decay * p
        })
    }

    fn is_elementwise(&self, of: &Values) -> bool {
        of.number("weight_decay") == 0.0 && !of.flag("always_adapt")
    }

    fn finish(&self, of: &Values, graph: &mut Graph, directed: &Directed<'_>) -> Result<(), GraphError> {
        let &Directed { parameters, offsets, directions, scalars, rate, .. } = directed;
        let ratios = TrustRatios { offsets: offsets.to_vec(), clip: of.flag("trust_clip") };
        let ratios = graph.apply_one(ratios, &[parameters, directions])?;
        let apply = ApplyDirections { rate, decay: 0.0, factor: 1.0, trusted: true };
        graph.apply(apply, &[parameters, directions, scalars, ratios]).map(|_| ())
    }

    fn cases(&self) -> &'static [&'static str] {
        &["weight_decay=0", "always_adapt=true,weight_decay=0", "trust_clip=true,eps=10"]
    }
}
