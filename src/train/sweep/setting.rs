//! The settings of a run that a sweep can vary, under the names that a recipe has for them.

use super::SweepError;
use crate::models::{Model, Takes};
use crate::recipe::{Kind, ROWS, Row, TrainConfig};
use serde_json::Value;

/// A setting by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepSetting {
    /// As in a recipe, such as `lr`.
    pub name: String,
    /// What values it has; none where that is for the model or the optimizer to say, who take what JSON has, or a word.
    pub(super) kind: Option<Kind>,
}

/// The settings that a sweep can vary.
fn varied() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| row.varies)
}

/// Begins the name of an optimizer's attribute.
const OF_OPTIMIZER: &str = "optimizer.";
/// Begins the name of a model's attribute, as `--set` has it.
const OF_MODEL: &str = "set.";

/// All names, for people.
pub(super) fn known() -> String {
    let names = varied().map(|row| row.name).collect::<Vec<_>>().join(", ");
    format!("{names}, {OF_OPTIMIZER}ATTRIBUTE and {OF_MODEL}ATTRIBUTE")
}

impl SweepSetting {
    /// # Errors
    /// When there is no setting of that name. Whether the optimizer has an attribute, or the model, shows when it is
    /// [set](SweepSetting::set).
    pub(super) fn named(name: &str, model: &Model) -> Result<SweepSetting, SweepError> {
        let listed = varied().find(|row| row.name == name).map(|row| Some(row.kind));
        let attribute = || name.strip_prefix(OF_MODEL).map(|attribute| kind_of(model, attribute));
        let of_optimizer = || name.strip_prefix(OF_OPTIMIZER).map(|_| None);
        match listed.or_else(attribute).or_else(of_optimizer) {
            Some(kind) => Ok(SweepSetting { name: name.to_owned(), kind }),
            None => {
                let likeness = |known: &str| strsim::normalized_damerau_levenshtein(name, known);
                let closest = varied().map(|row| row.name).filter(|known| likeness(known) >= 0.5);
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
        let (row, bad) = (Row::find(&self.name), |rule: String| self.refuse(text, rule));
        match (row, self.kind) {
            (Some(row), Some(Kind::Text)) => {
                row.read(text).map_err(|reason| format!("{}, but {reason}", row.range.rule))
            }
            (Some(row), _) => row.read(text),
            (None, Some(kind)) => kind.read(text),
            (None, None) if text.is_empty() => return Err(bad("given".to_owned())),
            (None, None) => return Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))),
        }
        .map(Value::from)
        .map_err(bad)
    }

    /// The configuration with this setting at `value`.
    ///
    /// # Errors
    /// When an attribute is unknown, or takes no such value.
    pub(super) fn set(&self, config: &TrainConfig, value: &Value) -> Result<TrainConfig, SweepError> {
        let refused = |reason: String| self.refuse(&text(value), format!("what the configuration takes, but {reason}"));
        if let Some(row) = Row::find(&self.name) {
            let value = row.kind.of_json(value).ok_or_else(|| self.refuse(&text(value), row.kind.to_string()))?;
            let mut config = config.clone();
            return row.set(&mut config, &value).map(|()| config).map_err(refused);
        }
        let mut json = serde_json::to_value(config).map_err(|reason| refused(reason.to_string()))?;
        match (self.name.strip_prefix(OF_MODEL), self.name.strip_prefix(OF_OPTIMIZER)) {
            (Some(attribute), _) => json["set"][attribute] = value.clone(),
            (_, Some(attribute)) => json["optimizer"][attribute] = value.clone(),
            _ => {}
        }
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

fn kind_of(model: &Model, attribute: &str) -> Option<Kind> {
    match model.attributes.iter().find(|(name, _)| *name == attribute) {
        Some((_, Takes::Count(_))) => Some(Kind::Whole),
        Some((_, Takes::Probability(_) | Takes::Share(_) | Takes::Number(_))) => Some(Kind::Real),
        Some((_, Takes::Flag(_))) => Some(Kind::Flag),
        _ => None,
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
