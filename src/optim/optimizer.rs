//! An optimizer with its attributes, and how it is written.

use super::rule::{self, Rule};
use super::step::STEP;
use super::{AttributeValue, Share, Values, rules};
use crate::attribute::{Given, excerpt, named_values, read_attributes};
use crate::kernel::Kernel;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// An optimizer that cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum OptimizerError {
    #[error("there is no optimizer `{name}`; known are {}", Optimizer::names().join(", "))]
    Unknown { name: String },
    #[error("the optimizer `{name}` has no attribute `{attribute}`; {known}")]
    UnknownAttribute { name: &'static str, attribute: String, known: String },
    #[error("the optimizer's {attribute} is {value}, but must be {expected}")]
    OutOfRange { attribute: &'static str, value: String, expected: String },
    #[error("`{text}` is not an optimizer: {reason}; write it like `sgd:momentum=0.9,nesterov=true`")]
    Syntax { text: String, reason: String },
}

/// An update rule with its attributes, each in its range.
///
/// ```
/// use tilewright::optim::Optimizer;
///
/// let sgd: Optimizer = "sgd:momentum=0.9,nesterov=true".parse()?;
/// assert_eq!((sgd.name(), sgd.weight_decay()), ("sgd", 0.0));
/// assert!("sgd:momentum=-1".parse::<Optimizer>().is_err());
/// # Ok::<(), tilewright::optim::OptimizerError>(())
/// ```
#[derive(Clone, Deserialize)]
#[serde(try_from = "Written")]
pub struct Optimizer {
    rule: &'static dyn Rule,
    values: Values,
}

/// As it stands in a recipe: a text, or a table of `name` and the attributes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Table(BTreeMap<String, Given>),
}

impl fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Optimizer({self})")
    }
}

impl PartialEq for Optimizer {
    fn eq(&self, other: &Optimizer) -> bool {
        self.name() == other.name() && self.values == other.values
    }
}

impl Default for Optimizer {
    /// Adam.
    fn default() -> Optimizer {
        Optimizer::new(&rules::Adam)
    }
}

impl Optimizer {
    /// A rule with its defaults.
    pub fn new(rule: &'static dyn Rule) -> Optimizer {
        Optimizer { rule, values: Values::of(rule.attributes()) }
    }

    /// Each with its defaults, those of this program last.
    pub fn all() -> Vec<Optimizer> {
        rule::all().into_iter().map(Optimizer::new).collect()
    }

    /// The names of all.
    pub fn names() -> Vec<&'static str> {
        rule::all().into_iter().map(Rule::name).collect()
    }

    /// Each with the attributes that `check` tries.
    pub fn cases() -> Vec<String> {
        let of = |rule: &'static dyn Rule| {
            let more = rule.cases().iter().map(|case| format!("{}:{case}", rule.name()));
            std::iter::once(rule.name().to_owned()).chain(more)
        };
        rule::all().into_iter().flat_map(of).collect()
    }

    /// From a name and a JSON object of attributes; absent ones have their defaults.
    ///
    /// # Errors
    /// For an unknown name or attribute, a value of the wrong type, or one out of range.
    pub fn from_attributes(name: &str, attributes: &Map<String, Value>) -> Result<Optimizer, OptimizerError> {
        Optimizer::of(name, attributes.iter().map(|(name, value)| (name.clone(), Given::of(value))))
    }

    fn of(name: &str, given: impl IntoIterator<Item = (String, Given)>) -> Result<Optimizer, OptimizerError> {
        let mut optimizer = Optimizer::new(rule::find(name)?);
        for (name, value) in given {
            optimizer.set(&name, &value)?;
        }
        optimizer.checked()
    }

    /// The same rule with that attribute at that value.
    ///
    /// # Errors
    /// When it has no such attribute, or the value is out of its range.
    pub fn with(mut self, attribute: &str, value: impl Into<Value>) -> Result<Optimizer, OptimizerError> {
        self.set(attribute, &Given::of(&value.into()))?;
        self.checked()
    }

    /// As [`Optimizer::with`], of a value in the range of an attribute that it has.
    pub(super) fn set_to(mut self, attribute: &str, value: AttributeValue) -> Optimizer {
        if let Some((_, own)) = self.values.find(attribute) {
            *own = Some(value);
        }
        self
    }

    fn set(&mut self, attribute: &str, given: &Given) -> Result<(), OptimizerError> {
        let name = self.name();
        let Some((row, value)) = self.values.find(attribute) else {
            let names: Vec<&str> = self.rule.attributes().iter().map(|row| row.name).collect();
            let known =
                if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
            return Err(OptimizerError::UnknownAttribute { name, attribute: excerpt(attribute), known });
        };
        let refused = || OptimizerError::OutOfRange {
            attribute: row.name,
            value: given.to_string(),
            expected: row.takes.to_string(),
        };
        *value = Some(row.takes.read(given).ok_or_else(refused)?);
        Ok(())
    }

    fn checked(self) -> Result<Optimizer, OptimizerError> {
        match self.rule.check(&self.values) {
            Ok(()) => Ok(self),
            Err((attribute, expected)) => {
                let value = self.values.get(attribute).map_or_else(String::new, |value| value.to_string());
                Err(OptimizerError::OutOfRange { attribute, value, expected: expected.to_owned() })
            }
        }
    }

    /// Its rule.
    pub fn rule(&self) -> &'static dyn Rule {
        self.rule
    }

    /// Its attributes.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// As it is written.
    pub fn name(&self) -> &'static str {
        self.rule.name()
    }

    /// 0 for a rule that knows none.
    pub fn weight_decay(&self) -> f64 {
        self.values.number("weight_decay")
    }

    /// The optimizer of parameters with that share, and their factor of the learning rate.
    pub(super) fn of_share(&self, share: Share) -> (Optimizer, f64) {
        let other = if share.other { self.rule.other(&self.values) } else { None };
        let (optimizer, rate) = other.unwrap_or_else(|| (self.clone(), 1.0));
        let decay = share.weight_decay.unwrap_or_else(|| optimizer.weight_decay());
        (optimizer.set_to("weight_decay", AttributeValue::Number(decay)), rate * share.rate)
    }

    /// The kernel of a step, as far as the rule says it.
    pub(super) fn kernel(&self) -> Kernel {
        self.rule.kernel(&self.values, Kernel::new(&STEP))
    }

    /// The shader of its rule, under `shaders/`.
    pub fn shader(&self) -> &'static str {
        self.kernel().operands.map_or("", |shader| shader.name)
    }

    /// Names of the state tensors, each of the parameters' shapes, and what they start from.
    pub fn state(&self) -> Vec<(&'static str, f32)> {
        let kernel = self.kernel();
        let bindings = kernel.operands.map_or(&[][..], |shader| shader.bindings);
        let there = bindings.iter().filter(|binding| binding.is_there(&kernel.conditions));
        there.map(|binding| (binding.name, self.rule.start(&self.values, binding.name))).collect()
    }

    /// What a step's kernels read besides the rule's constants: the learning rate, three factors that
    /// depend on the step, and 1 in the first step. `step` counts from 0.
    pub fn scalars(&self, step: u64, lr: f64) -> [f32; 5] {
        let [a, b, c] = self.rule.factors(&self.values, step);
        [lr, a, b, c, if step == 0 { 1.0 } else { 0.0 }].map(|number| number as f32)
    }
}

impl TryFrom<Written> for Optimizer {
    type Error = OptimizerError;

    fn try_from(written: Written) -> Result<Optimizer, OptimizerError> {
        match written {
            Written::Text(text) => text.parse(),
            Written::Table(mut table) => match table.remove("name") {
                Some(Given::Word(name)) => Optimizer::of(&name, table),
                _ => Err(OptimizerError::Syntax { text: "a table".to_owned(), reason: "it has no `name`".to_owned() }),
            },
        }
    }
}

impl Serialize for Optimizer {
    /// As a table of `name` and the attributes.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = serializer.serialize_map(None)?;
        table.serialize_entry("name", self.name())?;
        for (name, value) in self.values.iter() {
            table.serialize_entry(name, value)?;
        }
        table.end()
    }
}

impl fmt::Display for Optimizer {
    /// `sgd:momentum=0.9,nesterov=true,...`, every attribute named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&named_values(self.name(), &self.values))
    }
}

impl FromStr for Optimizer {
    type Err = OptimizerError;

    /// `NAME` or `NAME:attribute=value,...`; a pair is written `0.9,0.999`, `[0.9,0.999]` or `0.9+0.999`.
    fn from_str(text: &str) -> Result<Self, OptimizerError> {
        let (name, list) = text.split_once(':').unwrap_or((text, ""));
        let attributes =
            read_attributes(list).map_err(|reason| OptimizerError::Syntax { text: excerpt(text), reason })?;
        Optimizer::from_attributes(name.trim(), &attributes)
    }
}
