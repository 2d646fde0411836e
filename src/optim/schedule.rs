//! Learning-rate schedules: the rate in force during step t = 0, 1, ..., in f64.
//!
//! A step is whatever the caller counts, iterations or epochs. [`Form`] is a formula, [`Schedule`] one with its attributes,
//! [`LearningRate`] that with its base rate and, for `plateau`, its memory. `schedule/text.rs` reads schedules from text and
//! JSON. [`RunSchedule`] is what a run is told, whose lengths may be in epochs or left to the run.

mod error;
mod form;
mod forms;
mod learning_rate;
mod of_run;
mod text;

pub use error::ScheduleError;
pub use form::{Form, all, register};
pub use forms::ALL;
pub use learning_rate::LearningRate;
pub use of_run::{RunLength, RunSchedule};

use super::Values;
use super::attribute::Given;
use super::attributes::excerpt;
use super::listing::named_values;
use form::Observe;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;

/// A learning-rate schedule. Attributes have the names and meanings of `torch.optim.lr_scheduler`.
///
/// As JSON or TOML it is a table with `name` and the attributes, or the command-line text:
/// `{"name": "cosine", "T_max": 100}` is `"cosine:T_max=100"`.
///
/// ```
/// use tilewright::optim::schedule::Schedule;
///
/// let cosine: Schedule = "cosine:T_max=100".parse()?;
/// assert_eq!([0, 50, 100].map(|step| (1e3 * cosine.rate(0.2, step)).round()), [200.0, 100.0, 0.0]);
/// # Ok::<(), tilewright::optim::schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub struct Schedule {
    form: &'static Form,
    values: Values,
    /// What follows a warm-up.
    then: Option<Box<Schedule>>,
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Schedule) -> bool {
        self.name() == other.name() && self.values == other.values && self.then == other.then
    }
}

impl Schedule {
    /// Every name that [`Schedule::from_attributes`] and the text form know.
    pub fn names() -> Vec<&'static str> {
        all().into_iter().map(|form| form.name).collect()
    }

    /// From a name and a JSON object of attributes; absent ones have their defaults.
    ///
    /// `warmup` has the attributes `steps`, `start_factor` and `then`, itself a schedule.
    ///
    /// # Errors
    /// For an unknown name or attribute, a value out of its range, or one that must be given and is not.
    pub fn from_attributes(name: &str, attributes: &Value) -> Result<Schedule, ScheduleError> {
        let none = Map::new();
        let attributes = match attributes {
            Value::Object(map) => map,
            Value::Null => &none,
            other => {
                let reason = format!("its attributes are {other}, not an object");
                return Err(ScheduleError::Syntax { text: name.to_owned(), reason });
            }
        };
        let form = form::find(name)?;
        let mut values = Values::of(form.attributes);
        let mut then = None;
        for (attribute, value) in attributes {
            if form.leads && attribute == "then" {
                then = Some(Box::new(Schedule::try_from(value.clone())?));
                continue;
            }
            let Some((row, slot)) = values.find(attribute) else {
                return Err(ScheduleError::unknown_attribute(form, attribute));
            };
            let bad = || ScheduleError::BadAttribute {
                schedule: form.name,
                attribute: row.name,
                value: excerpt(&value.to_string()),
                expected: row.takes.to_string(),
            };
            *slot = Some(row.takes.read(&Given::of(value)).ok_or_else(bad)?);
        }
        let missing = values.missing().or((form.leads && then.is_none()).then_some("then"));
        match missing {
            Some(attribute) => Err(ScheduleError::MissingAttribute { schedule: form.name, attribute }),
            None => Ok(Schedule { form, values, then }),
        }
    }

    /// The name that [`Schedule::from_attributes`] knows it by.
    pub fn name(&self) -> &'static str {
        self.form.name
    }

    /// The rate during `step`. For `plateau` this is `base_lr` itself, which [`LearningRate`] lowers.
    pub fn rate(&self, base_lr: f64, step: u64) -> f64 {
        let Some(then) = &self.then else { return (self.form.rate)(&self.values, base_lr, step) };
        match step.checked_sub((self.form.warmup)(&self.values)) {
            None => (self.form.rate)(&self.values, then.rate(base_lr, 0), step),
            Some(after) => then.rate(base_lr, after),
        }
    }

    /// The step after which a falling `cosine` rises again.
    pub fn turn(&self) -> Option<u64> {
        match &self.then {
            Some(then) => Some(then.turn()?.saturating_add((self.form.warmup)(&self.values))),
            None => (self.form.turn)(&self.values),
        }
    }

    /// Steps of warm-up before the schedule that follows it.
    pub fn warmup(&self) -> u64 {
        let then = self.then.as_ref().map_or(0, |then| then.warmup());
        (self.form.warmup)(&self.values).saturating_add(then)
    }

    /// What decides the rate by a metric, if anything does: its own form, or the one behind a warm-up.
    fn observer(&self) -> Option<(&Values, Observe)> {
        match &self.then {
            Some(then) => then.observer(),
            None => self.form.observe.map(|observe| (&self.values, observe)),
        }
    }
}

impl Serialize for Schedule {
    /// As a table of `name` and the attributes.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = serializer.serialize_map(None)?;
        table.serialize_entry("name", self.name())?;
        for (name, value) in self.values.iter() {
            table.serialize_entry(name, value)?;
        }
        if let Some(then) = &self.then {
            table.serialize_entry("then", then)?;
        }
        table.end()
    }
}

impl fmt::Display for Schedule {
    /// The text that [`FromStr`](std::str::FromStr) reads back as the same schedule, with every attribute in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&named_values(self.name(), &self.values))?;
        self.then.as_ref().map_or(Ok(()), |then| write!(f, "/{then}"))
    }
}
