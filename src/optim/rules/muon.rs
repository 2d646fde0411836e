//! `muon`: momentum, made orthogonal matrix by matrix.

use super::adam::BETAS;
use super::{Adam, AdamW};
use crate::graph::{Graph, GraphError};
use crate::kernel::{Kernel, Shader, write};
use crate::optim::{
    ApplyDirections, Attribute, AttributeValue, Decay, Directed, Direction, Element, Optimizer, Place, Range, Rule,
    Takes, UnitNorm, Values, orthogonalize, share,
};

static SHADER: Shader = Shader::new("optimizer/rules/muon", &[write("momentum_buffer")]);

static ATTRIBUTES: [Attribute; 9] = [
    Attribute::new("momentum", Takes::Number(0.95, Range::BelowOne), "decay of the average of gradients"),
    Attribute::new("nesterov", Takes::Flag(true), "looks a step of momentum ahead"),
    Attribute::weight_decay(0.1),
    Attribute::new("ns_steps", Takes::Count(5, [0, 99]), "Newton-Schulz steps"),
    Attribute::new("eps", Takes::Number(1e-7, Range::NotNegative), "the least norm that a matrix is divided by"),
    Attribute::new(
        "adjust_lr_fn",
        Takes::Word(&["original", "match_rms_adamw"]),
        "how the rate depends on the shape: times sqrt(max(1, rows / columns)), or times 0.2 sqrt(max(rows, columns)), \
         which suits the rate and the weight decay of AdamW",
    ),
    Attribute { name: "adamw_betas", ..BETAS },
    Attribute::new("adamw_eps", Takes::Number(1e-8, Range::NotNegative), "AdamW's eps"),
    Attribute::new("adamw_rate", Takes::Number(1.0, Range::NotNegative), "the rate of AdamW's parameters, as a factor"),
];

/// Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", as `torch.optim.Muon` has it, with the
/// products in f32. A convolution's filters are the rows of a matrix `[K, C*kh*kw]`. What is no matrix, and the first and
/// the last layer, are AdamW's.
pub struct Muon;

impl Rule for Muon {
    fn name(&self) -> &'static str {
        "muon"
    }

    fn about(&self) -> &'static str {
        "averaged gradients of each layer as a matrix [K, C kh kw], made orthogonal by Newton-Schulz steps (Jordan et al. \
         2024), with decoupled weight decay; biases, norms, embeddings, the first layer and the last are AdamW's"
    }

    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }

    fn decay(&self) -> Decay {
        Decay::Own
    }

    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        share(step.operands(&SHADER), ["MOMENTUM", "ONE_LESS_MOMENTUM"], of.number("momentum"))
            .condition("nesterov", of.flag("nesterov"))
    }

    /// AdamW's: it needs none itself.
    fn factors(&self, of: &Values, step: u64) -> [f64; 3] {
        match self.other(of) {
            Some((adamw, _)) => Adam.factors(adamw.values(), step),
            None => [0.0; 3],
        }
    }

    fn reference(&self, of: &Values) -> Direction {
        let (momentum, nesterov) = (of.number("momentum"), of.flag("nesterov"));
        Box::new(move |state, Element { g, .. }| {
            state[0] = momentum * state[0] + (1.0 - momentum) * g;
            if nesterov { (1.0 - momentum) * g + momentum * state[0] } else { state[0] }
        })
    }

    fn is_elementwise(&self, _: &Values) -> bool {
        false
    }

    fn finish(&self, of: &Values, graph: &mut Graph, directed: &Directed<'_>) -> Result<(), GraphError> {
        for (&parameter, &first) in directed.members.iter().zip(directed.offsets) {
            let shape = graph.shape(parameter);
            let rows = shape.first().copied().unwrap_or(1);
            let columns = shape.elements() / rows.max(1);
            let unit = UnitNorm { first, rows, columns, eps: of.number("eps") };
            let unit = graph.apply_one(unit, &[directed.directions])?;
            let orthogonal = orthogonalize(graph, unit, of.count("ns_steps"))?;
            let factor = match of.word("adjust_lr_fn") {
                "match_rms_adamw" => 0.2 * (rows.max(columns) as f64).sqrt(),
                _ => (rows as f64 / columns as f64).max(1.0).sqrt(),
            };
            let decay = of.number("weight_decay");
            let apply = ApplyDirections { rate: directed.rate, decay, factor, trusted: false };
            graph.apply(apply, &[parameter, orthogonal, directed.scalars])?;
        }
        Ok(())
    }

    fn other(&self, of: &Values) -> Option<(Optimizer, f64)> {
        let adamw = Optimizer::new(&AdamW)
            .set_to("betas", AttributeValue::Pair(of.pair("adamw_betas")))
            .set_to("eps", AttributeValue::Number(of.number("adamw_eps")))
            .set_to("weight_decay", AttributeValue::Number(of.number("weight_decay")));
        Some((adamw, of.number("adamw_rate")))
    }

    /// Matrices and filters: three dimensions are those of embeddings and of scales.
    fn takes(&self, place: &Place<'_>) -> bool {
        matches!(place.shape.len(), 2 | 4) && !place.is_end
    }

    fn cases(&self) -> &'static [&'static str] {
        &["nesterov=false,ns_steps=2,adamw_rate=0.5", "adjust_lr_fn=match_rms_adamw,momentum=0.5,weight_decay=0"]
    }
}
