//! Update rules: their attributes, their state, and the numbers that a step's kernels need.

use super::attributes::{excerpt, read_attributes};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

/// An optimizer that cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OptimizerError {
    #[error("there is no optimizer `{name}`; known are {}", Optimizer::NAMES.join(", "))]
    Unknown { name: String },
    #[error("the optimizer `{name}` does not take these attributes: {reason}")]
    Attributes { name: String, reason: String },
    #[error("the optimizer's {attribute} is {value}, but must be {expected}")]
    OutOfRange { attribute: &'static str, value: f64, expected: &'static str },
    #[error("`{text}` is not an optimizer: {reason}; write it like `sgd:momentum=0.9,nesterov=true`")]
    Syntax { text: String, reason: String },
}

/// An update rule with its attributes, named and defaulted as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Optimizer {
    Sgd(Sgd),
    Adam(Adam),
    AdamW(AdamW),
    NAdam(NAdam),
    RmsProp(RmsProp),
    Adagrad(Adagrad),
    SignSgd(SignSgd),
    Lion(Lion),
}

/// Stochastic gradient descent with momentum (Polyak 1964; Nesterov 1983).
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    pub momentum: f64,
    pub dampening: f64,
    pub nesterov: bool,
    pub weight_decay: f64,
}

/// Kingma and Ba 2015; AMSGrad: Reddi et al. 2018. Weight decay is added to the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
    pub amsgrad: bool,
}

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
    pub amsgrad: bool,
}

/// Adam with Nesterov momentum (Dozat 2016).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NAdam {
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
    pub momentum_decay: f64,
}

/// Hinton's lecture 6e (2012).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    pub alpha: f64,
    pub eps: f64,
    pub weight_decay: f64,
    pub momentum: f64,
    pub centered: bool,
}

/// Duchi et al. 2011.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adagrad {
    pub lr_decay: f64,
    pub eps: f64,
    pub weight_decay: f64,
    pub initial_accumulator_value: f64,
}

/// Sign of the averaged gradient (Bernstein et al. 2018).
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignSgd {
    pub momentum: f64,
    pub weight_decay: f64,
}

/// Chen et al. 2023.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    pub betas: [f64; 2],
    pub weight_decay: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

impl Default for AdamW {
    fn default() -> Self {
        AdamW { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01, amsgrad: false }
    }
}

impl Default for NAdam {
    fn default() -> Self {
        NAdam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, momentum_decay: 4e-3 }
    }
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp { alpha: 0.99, eps: 1e-8, weight_decay: 0.0, momentum: 0.0, centered: false }
    }
}

impl Default for Adagrad {
    fn default() -> Self {
        Adagrad { lr_decay: 0.0, eps: 1e-10, weight_decay: 0.0, initial_accumulator_value: 0.0 }
    }
}

impl Default for Lion {
    fn default() -> Self {
        Lion { betas: [0.9, 0.99], weight_decay: 0.0 }
    }
}

/// What is done to a gradient before the rule sees it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GradientTransform {
    /// Adds l1 * sign(parameter).
    pub l1: f64,
    /// Limits each element to [-c, c].
    pub clip_grad_value: Option<f64>,
    /// Scales all gradients by min(1, m / (norm + 1e-6)), norm over all parameters together.
    pub clip_grad_norm: Option<f64>,
}

impl GradientTransform {
    /// Checks the ranges of l1 and of what gradients are clipped to.
    ///
    /// # Errors
    /// The first out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        positive("l1", self.l1)?;
        for (attribute, value) in [("clip_grad_value", self.clip_grad_value), ("clip_grad_norm", self.clip_grad_norm)] {
            if let Some(value) = value.filter(|value| !(is_finite(*value) && *value > 0.0)) {
                return Err(OptimizerError::OutOfRange { attribute, value, expected: "a finite number above 0" });
            }
        }
        Ok(())
    }
}

/// Refuses what is not finite, or not as f32, in which the kernels compute.
fn finite(attribute: &'static str, value: f64) -> Result<(), OptimizerError> {
    match is_finite(value) {
        true => Ok(()),
        false => Err(OptimizerError::OutOfRange { attribute, value, expected: "a finite number" }),
    }
}

fn positive(attribute: &'static str, value: f64) -> Result<(), OptimizerError> {
    match is_finite(value) && value >= 0.0 {
        true => Ok(()),
        false => Err(OptimizerError::OutOfRange { attribute, value, expected: "a finite number of at least 0" }),
    }
}

fn is_finite(value: f64) -> bool {
    (value as f32).is_finite()
}

impl Optimizer {
    pub const NAMES: [&str; 8] = ["sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad", "signsgd", "lion"];

    /// Each with its defaults.
    pub fn all() -> [Optimizer; Optimizer::NAMES.len()] {
        [
            Optimizer::Sgd(Sgd::default()),
            Optimizer::Adam(Adam::default()),
            Optimizer::AdamW(AdamW::default()),
            Optimizer::NAdam(NAdam::default()),
            Optimizer::RmsProp(RmsProp::default()),
            Optimizer::Adagrad(Adagrad::default()),
            Optimizer::SignSgd(SignSgd::default()),
            Optimizer::Lion(Lion::default()),
        ]
    }

    /// The rule that it follows, and where it is from.
    pub fn about(&self) -> &'static str {
        match self {
            Optimizer::Sgd(_) => "stochastic gradient descent with momentum (Polyak 1964; Nesterov 1983)",
            Optimizer::Adam(_) => {
                "Kingma and Ba 2015; `amsgrad`: Reddi et al. 2018; weight decay is added to the gradient"
            }
            Optimizer::AdamW(_) => "Adam with decoupled weight decay (Loshchilov and Hutter 2019)",
            Optimizer::NAdam(_) => "Adam with Nesterov momentum (Dozat 2016)",
            Optimizer::RmsProp(_) => "gradients over the root of their running square (Hinton's lecture 6e, 2012)",
            Optimizer::Adagrad(_) => "gradients over the root of the sum of their squares (Duchi et al. 2011)",
            Optimizer::SignSgd(_) => "the sign of the averaged gradient (Bernstein et al. 2018)",
            Optimizer::Lion(_) => "the sign of an interpolation of momentum and gradient (Chen et al. 2023)",
        }
    }

    /// From a name and a JSON object of attributes; absent ones have their defaults.
    ///
    /// # Errors
    /// For an unknown name or attribute, a value of the wrong type, or one out of range.
    pub fn from_attributes(name: &str, attrs: &Map<String, Value>) -> Result<Optimizer, OptimizerError> {
        if !Optimizer::NAMES.contains(&name) {
            return Err(OptimizerError::Unknown { name: excerpt(name) });
        }
        let mut tagged = attrs.clone();
        tagged.insert("name".to_owned(), Value::from(name));
        let optimizer: Optimizer = serde_json::from_value(Value::Object(tagged))
            .map_err(|reason| OptimizerError::Attributes { name: name.to_owned(), reason: reason.to_string() })?;
        optimizer.validate()?;
        Ok(optimizer)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Optimizer::Sgd(_) => "sgd",
            Optimizer::Adam(_) => "adam",
            Optimizer::AdamW(_) => "adamw",
            Optimizer::NAdam(_) => "nadam",
            Optimizer::RmsProp(_) => "rmsprop",
            Optimizer::Adagrad(_) => "adagrad",
            Optimizer::SignSgd(_) => "signsgd",
            Optimizer::Lion(_) => "lion",
        }
    }

    /// Checks the ranges of all attributes.
    ///
    /// # Errors
    /// The first attribute out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        let share = |attribute, value: f64| match (0.0..1.0).contains(&value) {
            true => Ok(()),
            false => Err(OptimizerError::OutOfRange { attribute, value, expected: "in [0, 1)" }),
        };
        positive("weight_decay", self.weight_decay())?;
        match *self {
            Optimizer::Sgd(Sgd { momentum, nesterov, dampening, .. }) => {
                positive("momentum", momentum)?;
                finite("dampening", dampening)?;
                if nesterov && (momentum <= 0.0 || dampening != 0.0) {
                    let expected = "above 0, with dampening 0, for Nesterov momentum";
                    return Err(OptimizerError::OutOfRange { attribute: "momentum", value: momentum, expected });
                }
                Ok(())
            }
            Optimizer::NAdam(NAdam { momentum_decay, betas, eps, .. }) => {
                positive("momentum_decay", momentum_decay)?;
                share("betas", betas[0])?;
                share("betas", betas[1])?;
                positive("eps", eps)
            }
            Optimizer::Adam(Adam { betas, eps, .. }) | Optimizer::AdamW(AdamW { betas, eps, .. }) => {
                share("betas", betas[0])?;
                share("betas", betas[1])?;
                positive("eps", eps)
            }
            Optimizer::RmsProp(RmsProp { alpha, eps, momentum, .. }) => {
                share("alpha", alpha)?;
                positive("momentum", momentum)?;
                positive("eps", eps)
            }
            Optimizer::Adagrad(Adagrad { lr_decay, eps, initial_accumulator_value, .. }) => {
                positive("lr_decay", lr_decay)?;
                positive("initial_accumulator_value", initial_accumulator_value)?;
                positive("eps", eps)
            }
            Optimizer::SignSgd(SignSgd { momentum, .. }) => share("momentum", momentum),
            Optimizer::Lion(Lion { betas, .. }) => share("betas", betas[0]).and(share("betas", betas[1])),
        }
    }

    pub fn weight_decay(&self) -> f64 {
        let mut own = *self;
        *own.weight_decay_mut()
    }

    /// The same rule with another weight decay.
    #[must_use]
    pub fn with_weight_decay(mut self, decay: f64) -> Optimizer {
        *self.weight_decay_mut() = decay;
        self
    }

    fn weight_decay_mut(&mut self) -> &mut f64 {
        match self {
            Optimizer::Sgd(Sgd { weight_decay, .. })
            | Optimizer::Adam(Adam { weight_decay, .. })
            | Optimizer::AdamW(AdamW { weight_decay, .. })
            | Optimizer::NAdam(NAdam { weight_decay, .. })
            | Optimizer::RmsProp(RmsProp { weight_decay, .. })
            | Optimizer::Adagrad(Adagrad { weight_decay, .. })
            | Optimizer::SignSgd(SignSgd { weight_decay, .. })
            | Optimizer::Lion(Lion { weight_decay, .. }) => weight_decay,
        }
    }

    /// Names of the state tensors, each of the parameters' shapes, and what they start from.
    pub fn state(&self) -> Vec<(&'static str, f32)> {
        match *self {
            Optimizer::Sgd(Sgd { momentum: 0.0, .. }) => vec![],
            Optimizer::Sgd(_) => vec![("momentum", 0.0)],
            Optimizer::Adam(Adam { amsgrad, .. }) | Optimizer::AdamW(AdamW { amsgrad, .. }) => {
                let mut state = vec![("exp_avg", 0.0), ("exp_avg_sq", 0.0)];
                state.extend(amsgrad.then_some(("max_exp_avg_sq", 0.0)));
                state
            }
            Optimizer::NAdam(_) => vec![("exp_avg", 0.0), ("exp_avg_sq", 0.0)],
            Optimizer::RmsProp(RmsProp { centered, momentum, .. }) => {
                let mut state = vec![("square_avg", 0.0)];
                state.extend(centered.then_some(("grad_avg", 0.0)));
                state.extend((momentum > 0.0).then_some(("momentum", 0.0)));
                state
            }
            Optimizer::Adagrad(Adagrad { initial_accumulator_value, .. }) => {
                vec![("sum", initial_accumulator_value as f32)]
            }
            Optimizer::SignSgd(_) => vec![("momentum", 0.0)],
            Optimizer::Lion(_) => vec![("exp_avg", 0.0)],
        }
    }

    /// What a step's kernels read besides the rule's constants: the learning rate, three factors that
    /// depend on the step, and 1 in the first step. `step` counts from 0.
    pub fn scalars(&self, step: u64, lr: f64) -> [f32; 5] {
        let t = (step + 1) as f64;
        let unbias = |beta: f64| 1.0 / (1.0 - beta.powf(t));
        let [a, b, c] = match *self {
            Optimizer::Adam(Adam { betas, .. }) | Optimizer::AdamW(AdamW { betas, .. }) => {
                [unbias(betas[0]), unbias(betas[1]), 0.0]
            }
            Optimizer::NAdam(NAdam { betas, momentum_decay, .. }) => {
                let mu = |t: f64| betas[0] * (1.0 - 0.5 * 0.96f64.powf(t * momentum_decay));
                let product: f64 = (1..=step + 1).map(|t| mu(t as f64)).product();
                let next = mu(t + 1.0);
                [next / (1.0 - product * next), unbias(betas[1]), (1.0 - mu(t)) / (1.0 - product)]
            }
            Optimizer::Adagrad(Adagrad { lr_decay, .. }) => [1.0 / (1.0 + step as f64 * lr_decay), 0.0, 0.0],
            _ => [0.0; 3],
        };
        [lr as f32, a as f32, b as f32, c as f32, if step == 0 { 1.0 } else { 0.0 }]
    }
}

impl fmt::Display for Optimizer {
    /// `sgd:momentum=0.9,nesterov=true,...`, every attribute named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let Ok(Value::Object(attributes)) = serde_json::to_value(self) else { return Ok(()) };
        let attributes = attributes.into_iter().filter(|(name, _)| name != "name");
        for (index, (name, value)) in attributes.enumerate() {
            let separator = if index == 0 { ':' } else { ',' };
            match value {
                Value::Array(values) => {
                    let values: Vec<String> = values.iter().map(Value::to_string).collect();
                    write!(f, "{separator}{name}={}", values.join("+"))?;
                }
                value => write!(f, "{separator}{name}={value}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Optimizer {
    type Err = OptimizerError;

    /// `NAME` or `NAME:attribute=value,...`; a pair is written `0.9,0.999`, `[0.9,0.999]` or `0.9+0.999`.
    fn from_str(text: &str) -> Result<Self, OptimizerError> {
        let syntax = |reason: String| OptimizerError::Syntax { text: excerpt(text), reason };
        let (name, list) = text.split_once(':').unwrap_or((text, ""));
        let attributes = read_attributes(list).map_err(syntax)?;
        let word = attributes.values().find_map(Value::as_str);
        match word {
            Some(word) => Err(syntax(format!("`{}` is not a number", excerpt(word)))),
            None => Optimizer::from_attributes(name.trim(), &attributes),
        }
    }
}
