//! What training makes small: the losses by name, and those of a program of its own.

use super::{Attribute, Listing, Range, Takes, Values};
use crate::attribute::excerpt;
use crate::graph::{Graph, GraphError, Op, Value};
use crate::ops::{CrossEntropy, Loss};
use crate::registry::Registry;
use crate::setting::as_text;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A function of logits and labels whose mean over a batch training makes small.
pub trait Objective: Send + Sync {
    /// Adds it to a graph: the mean loss `[1]` over the rows that count, and the number of these `[1]`, of logits
    /// `[N, classes]` and labels `[N]` of u32. A label that is no class, such as
    /// [`IGNORED_TARGET`](crate::ops::IGNORED_TARGET), pads a short batch, and its row does not count.
    ///
    /// # Errors
    /// When the shapes do not suit it.
    fn attach(&self, graph: &mut Graph, logits: Value, labels: Value) -> Result<[Value; 2], GraphError>;

    /// As [`Objective::attach`], where each class counts as often as `weights` `[classes]` says: the mean is over the
    /// weights of the rows' labels. None, as by default, when it takes no weights.
    ///
    /// # Errors
    /// When the shapes do not suit it.
    fn attach_weighted(
        &self,
        _graph: &mut Graph,
        _logits: Value,
        _labels: Value,
        _weights: Value,
    ) -> Result<Option<[Value; 2]>, GraphError> {
        Ok(None)
    }
}

/// A loss by name, with its attributes: `cross_entropy`, `focal:gamma=2,alpha=0.25`, or one that was [registered](
/// register).
///
/// ```
/// use tilewright::optim::LossFunction;
///
/// let focal: LossFunction = "focal:gamma=2,alpha=0.25".parse()?;
/// assert_eq!(focal, LossFunction::Focal { alpha: 0.25, gamma: 2.0 });
/// assert!("focal:gamma=-1".parse::<LossFunction>().is_err());
/// # Ok::<(), tilewright::optim::LossError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the formula of each says what its attributes are")]
pub enum LossFunction {
    /// -log softmax(logits) of the label, with the recipe's label smoothing.
    #[default]
    CrossEntropy,
    /// -alpha (1 - p)^gamma log p of the label's softmax p (Lin et al. 2017).
    Focal { alpha: f32, gamma: f32 },
    /// Mean over classes of (logits - one-hot)^2.
    Mse,
    /// Mean over classes of (softmax(logits) - one-hot)^2.
    MseSoftmax,
    /// -logits of the label: the network ends in log-probabilities.
    Nll,
    /// One that this program registered.
    Own(String),
}

/// A loss that is not known, or does not take such attributes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum LossError {
    #[error("there is no loss `{name}`; known are {}", LossFunction::names().join(", "))]
    Unknown { name: String },
    #[error("`{text}` is not a loss: {reason}; write it like `focal:gamma=2,alpha=0.25`")]
    Syntax { text: String, reason: String },
}

static FOCAL: [Attribute; 2] = [
    Attribute::new("alpha", Takes::Number(1.0, Range::NotNegative), "times the loss"),
    Attribute::new(
        "gamma",
        Takes::Number(2.0, Range::NotNegative),
        "how much less a row counts that is told apart well",
    ),
];

impl LossFunction {
    /// The losses of this crate.
    pub const FORMS: [Listing; 5] = [
        Listing::new("cross_entropy", &[], "-log of the label's softmax, with the run's label smoothing"),
        Listing::new("focal", &FOCAL, "-alpha (1 - p)^gamma log p of the label's softmax p (Lin et al. 2017)"),
        Listing::new("mse", &[], "mean over classes of (logit - one-hot)^2"),
        Listing::new("mse_softmax", &[], "mean over classes of (softmax - one-hot)^2"),
        Listing::new("nll", &[], "-logit of the label, for a network that ends in log-probabilities"),
    ];

    /// The names of all losses, those of this program too.
    pub fn names() -> Vec<String> {
        let built_in = LossFunction::FORMS.iter().map(|form| form.name.to_owned());
        built_in.chain(OWN.names()).collect()
    }

    /// What it adds to a graph, with this label smoothing where it takes one.
    ///
    /// # Errors
    /// When this program has not [registered](register) a loss of its own of that name.
    pub fn objective(&self, label_smoothing: f32) -> Result<Arc<dyn Objective>, LossError> {
        Ok(match self {
            LossFunction::CrossEntropy => Arc::new(CrossEntropy::smoothed(label_smoothing)),
            LossFunction::Focal { alpha, gamma } => Arc::new(Loss::Focal { alpha: *alpha, gamma: *gamma }),
            LossFunction::Mse => Arc::new(Loss::Mse),
            LossFunction::MseSoftmax => Arc::new(Loss::MseSoftmax),
            LossFunction::Nll => Arc::new(Loss::NLL),
            LossFunction::Own(name) => OWN.find(name).ok_or_else(|| LossError::Unknown { name: name.clone() })?,
        })
    }
}

static OWN: Registry<Arc<dyn Objective>> = Registry::new();

/// Gives this program a loss of its own, under a name that recipes and checkpoints then have. The last one of a name
/// holds.
pub fn register(name: impl Into<String>, objective: impl Objective + 'static) {
    OWN.register(name, Arc::new(objective));
}

/// An op whose first two outputs are the mean and the rows, and that takes weights as one more input.
macro_rules! objective {
    ($op:ty) => {
        impl Objective for $op {
            fn attach(&self, graph: &mut Graph, logits: Value, labels: Value) -> Result<[Value; 2], GraphError> {
                first_two(graph, *self, &[logits, labels])
            }

            fn attach_weighted(
                &self,
                graph: &mut Graph,
                logits: Value,
                labels: Value,
                weights: Value,
            ) -> Result<Option<[Value; 2]>, GraphError> {
                first_two(graph, *self, &[logits, labels, weights]).map(Some)
            }
        }
    };
}
objective!(CrossEntropy);
objective!(Loss);

fn first_two(graph: &mut Graph, op: impl Op, inputs: &[Value]) -> Result<[Value; 2], GraphError> {
    let outputs = graph.apply(op, inputs)?;
    Ok([outputs[0], outputs[1]])
}

impl fmt::Display for LossFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LossFunction::CrossEntropy => f.write_str("cross_entropy"),
            LossFunction::Focal { alpha, gamma } => write!(f, "focal:alpha={alpha},gamma={gamma}"),
            LossFunction::Mse => f.write_str("mse"),
            LossFunction::MseSoftmax => f.write_str("mse_softmax"),
            LossFunction::Nll => f.write_str("nll"),
            LossFunction::Own(name) => f.write_str(name),
        }
    }
}

impl FromStr for LossFunction {
    type Err = LossError;

    fn from_str(text: &str) -> Result<Self, LossError> {
        let syntax = |reason: String| LossError::Syntax { text: excerpt(text), reason };
        let (name, list) = text.split_once(':').unwrap_or((text, ""));
        let name = name.trim();
        let attributes = match LossFunction::FORMS.into_iter().find(|form| form.name == name) {
            Some(form) => form.attributes,
            None if OWN.find(name).is_some() => &[],
            None => return Err(LossError::Unknown { name: excerpt(name) }),
        };
        let of = Values::read(attributes, list).map_err(syntax)?;
        Ok(match name {
            "cross_entropy" => LossFunction::CrossEntropy,
            "focal" => LossFunction::Focal { alpha: of.number("alpha") as f32, gamma: of.number("gamma") as f32 },
            "mse" => LossFunction::Mse,
            "mse_softmax" => LossFunction::MseSoftmax,
            "nll" => LossFunction::Nll,
            own => LossFunction::Own(own.to_owned()),
        })
    }
}

as_text!(LossFunction, LossError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_it_is_written() {
        for form in LossFunction::FORMS {
            let loss: LossFunction = form.text().parse().unwrap();
            assert_eq!(form.name.parse(), Ok(loss.clone()), "{form}");
            assert_eq!(loss.to_string(), form.text());
        }
        let focal: LossFunction = "focal:gamma=2,alpha=0.25".parse().unwrap();
        assert_eq!(focal, LossFunction::Focal { alpha: 0.25, gamma: 2.0 });
    }

    #[test]
    fn what_is_no_loss_is_told_with_what_there_is() {
        let told = |text: &str| text.parse::<LossFunction>().unwrap_err().to_string();
        assert!(told("hinge").contains("known are cross_entropy, focal"), "{}", told("hinge"));
        assert!(told("hinge:margin=1").contains("no loss `hinge`"));
        assert!(told("focal:beta=1").contains("no attribute `beta`"));
        assert!(told("focal:gamma=-1").contains("at least 0"));
        assert!(told("mse:gamma").contains("key=value"));
    }
}
