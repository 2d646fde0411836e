//! The settings of a run that a sweep can vary, under the names that a recipe has for them.

use super::SweepError;
use crate::models::{Model, Takes};
use crate::optim::Optimizer;
use crate::optim::schedule::RunSchedule;
use crate::recipe::{self, PLAIN, Row, TrainConfig};
use serde_json::Value;

/// A setting by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepSetting {
    /// As in a recipe, such as `lr`.
    pub name: String,
    pub(super) kind: Kind,
}

/// What values a setting has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Whole,
    Real,
    Flag,
    Optimizer,
    Schedule,
    /// What JSON has, or else a word; the model or the optimizer checks it.
    Any,
}

/// The settings that are written as a text of their own, beside the [rows](PLAIN) of numbers and flags.
const TEXTS: [(&str, Kind); 4] =
    [("optimizer", Kind::Optimizer), ("schedule", Kind::Schedule), ("loss", Kind::Any), ("average", Kind::Any)];

/// Names and kinds.
fn settings() -> impl Iterator<Item = (&'static str, Kind)> {
    let kind = |row: &Row| match row.kind {
        recipe::Kind::Whole => Kind::Whole,
        recipe::Kind::Real => Kind::Real,
        recipe::Kind::Flag => Kind::Flag,
    };
    let varied = PLAIN.iter().filter(|row| row.varies);
    varied.map(move |row| (row.name, kind(row))).chain(TEXTS)
}

/// Begins the name of an optimizer's attribute.
const OF_OPTIMIZER: &str = "optimizer.";
/// Begins the name of a model's attribute, as `--set` has it.
const OF_MODEL: &str = "set.";

/// All names, for people.
pub(super) fn known() -> String {
    let names = settings().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    format!("{names}, {OF_OPTIMIZER}ATTRIBUTE and {OF_MODEL}ATTRIBUTE")
}

impl SweepSetting {
    /// # Errors
    /// When there is no setting of that name. Whether the optimizer has an attribute, or the model, shows when it is
    /// [set](SweepSetting::set).
    pub(super) fn named(name: &str, model: &Model) -> Result<SweepSetting, SweepError> {
        let listed = settings().find(|(known, _)| *known == name).map(|(_, kind)| kind);
        let attribute = || name.strip_prefix(OF_MODEL).map(|attribute| kind_of(model, attribute));
        let of_optimizer = || name.strip_prefix(OF_OPTIMIZER).map(|_| Kind::Any);
        match listed.or_else(attribute).or_else(of_optimizer) {
            Some(kind) => Ok(SweepSetting { name: name.to_owned(), kind }),
            None => {
                let likeness = |known: &str| strsim::normalized_damerau_levenshtein(name, known);
                let closest = settings().map(|(known, _)| known).filter(|known| likeness(known) >= 0.5);
                let close = closest.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
                Err(SweepError::UnknownSetting { name: name.to_owned(), close })
            }
        }
    }

    /// Reads a value as it stands on the command line.
    ///
    /// # Errors
    /// When it is none that the setting can have.
    pub(super) fn value(&self, text: &str) -> Result<Value, SweepError> {
        let bad = |rule: String| self.refuse(text, rule);
        let or_word = || serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        match self.kind {
            Kind::Whole => text.parse::<u64>().map(Value::from).map_err(|_| bad("a whole number".to_owned())),
            Kind::Real => real(text).map(Value::from).ok_or_else(|| bad("a number".to_owned())),
            Kind::Flag => text.parse::<bool>().map(Value::from).map_err(|_| bad("true or false".to_owned())),
            Kind::Optimizer => match text.parse::<Optimizer>() {
                Ok(_) => Ok(Value::from(text)),
                Err(reason) => Err(bad(format!("an optimizer, but {reason}"))),
            },
            Kind::Schedule => match text.parse::<RunSchedule>() {
                Ok(_) => Ok(Value::from(text)),
                Err(reason) => Err(bad(format!("a schedule, but {reason}"))),
            },
            Kind::Any if text.is_empty() => Err(bad("given".to_owned())),
            Kind::Any => Ok(or_word()),
        }
    }

    /// The configuration with this setting at `value`.
    ///
    /// # Errors
    /// When an attribute is unknown, or takes no such value.
    pub(super) fn set(&self, config: &TrainConfig, value: &Value) -> Result<TrainConfig, SweepError> {
        let refused = |reason: String| self.refuse(&text(value), format!("what the configuration takes, but {reason}"));
        let mut json = serde_json::to_value(config).map_err(|reason| refused(reason.to_string()))?;
        let (table, key) = match (self.name.strip_prefix(OF_MODEL), self.name.strip_prefix(OF_OPTIMIZER)) {
            (Some(attribute), _) => (Some("set"), attribute),
            (_, Some(attribute)) => (Some("optimizer"), attribute),
            _ => (None, self.name.as_str()),
        };
        let target = match table {
            Some(table) => &mut json[table][key],
            None => &mut json[key],
        };
        *target = match (self.kind, value) {
            (Kind::Optimizer, Value::String(text)) => text
                .parse::<Optimizer>()
                .map_err(|reason| reason.to_string())
                .and_then(|optimizer| serde_json::to_value(optimizer).map_err(|reason| reason.to_string()))
                .map_err(refused)?,
            _ => value.clone(),
        };
        serde_json::from_value(json).map_err(|reason| refused(reason.to_string()))
    }

    /// Whether this is an attribute of the optimizer, which must then be set before it.
    pub(super) fn is_attribute(&self) -> bool {
        self.name.starts_with(OF_OPTIMIZER)
    }

    pub(super) fn refuse(&self, value: &str, rule: String) -> SweepError {
        SweepError::Value { name: self.name.clone(), value: value.to_owned(), rule }
    }
}

/// A finite number.
pub(super) fn real(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn kind_of(model: &Model, attribute: &str) -> Kind {
    match model.attributes.iter().find(|(name, _)| *name == attribute) {
        Some((_, Takes::Count(_))) => Kind::Whole,
        Some((_, Takes::Probability(_) | Takes::Share(_) | Takes::Number(_))) => Kind::Real,
        Some((_, Takes::Flag(_))) => Kind::Flag,
        _ => Kind::Any,
    }
}

/// A value for people, and for the table of trials: a word without quotes, a small number as 1e-4.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(word) => word.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(real) if number.is_f64() && real != 0.0 && !(1e-3..1e6).contains(&real.abs()) => format!("{real:e}"),
            Some(real) if number.is_f64() => format!("{real}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
