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
use crate::attribute::{Given, excerpt, named_values};
use form::{Follows, Observe};
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
    /// What follows a warm-up, or those of a sequence.
    then: Vec<Schedule>,
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
    /// `warmup` has the attributes `steps`, `start_factor` and `then`, itself a schedule; `sequential` has `milestones` and
    /// `schedules`, a list of one more.
    ///
    /// # Errors
    /// For an unknown name or attribute, a value out of its range, or one that must be given and is not.
    pub fn from_attributes(name: &str, attributes: &Value) -> Result<Schedule, ScheduleError> {
        let mut table = match attributes {
            Value::Object(map) => map.clone(),
            Value::Null => Map::new(),
            other => {
                let reason = format!("its attributes are {other}, not an object");
                return Err(ScheduleError::Syntax { text: name.to_owned(), reason });
            }
        };
        table.insert("name".to_owned(), Value::from(name));
        Schedule::try_from(Value::Object(table))
    }

    /// Of a form, with what follows it.
    fn of(
        form: &'static Form,
        attributes: &Map<String, Value>,
        then: Vec<Schedule>,
    ) -> Result<Schedule, ScheduleError> {
        let mut values = Values::of(form.attributes);
        for (attribute, value) in attributes {
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
        if let Some(attribute) = values.missing() {
            return Err(ScheduleError::MissingAttribute { schedule: form.name, attribute });
        }
        let schedule = Schedule { form, values, then };
        if form.follows == Follows::Sequence {
            schedule.check_sequence()?;
        }
        Ok(schedule)
    }

    /// Refuses a sequence whose milestones do not rise, or do not fit its schedules.
    fn check_sequence(&self) -> Result<(), ScheduleError> {
        let milestones = self.milestones();
        let rising = milestones.windows(2).all(|pair| pair[0] < pair[1]);
        if milestones.first().is_none_or(|&first| first == 0) || !rising {
            return Err(ScheduleError::BadAttribute {
                schedule: self.form.name,
                attribute: "milestones",
                value: excerpt(&format!("{milestones:?}")),
                expected: "a list of steps above 0, each above the one before".to_owned(),
            });
        }
        if self.then.len() != milestones.len() + 1 {
            return Err(ScheduleError::Sequence { needs: milestones.len() + 1, given: self.then.len() });
        }
        match self.then.iter().find_map(Schedule::observer) {
            Some(_) => Err(ScheduleError::MetricInSequence),
            None => Ok(()),
        }
    }

    fn milestones(&self) -> &[u64] {
        self.values.counts("milestones")
    }

    /// What follows, with the step in which each begins.
    fn parts(&self) -> impl Iterator<Item = (u64, &Schedule)> {
        let first = match self.form.follows {
            Follows::Sequence => 0,
            _ => (self.form.warmup)(&self.values),
        };
        [first].into_iter().chain(self.milestones().iter().copied()).zip(&self.then)
    }

    /// The name that [`Schedule::from_attributes`] knows it by.
    pub fn name(&self) -> &'static str {
        self.form.name
    }

    /// The rate during `step`. For `plateau` this is `base_lr` itself, which [`LearningRate`] lowers.
    pub fn rate(&self, base_lr: f64, step: u64) -> f64 {
        let begun = self.parts().take_while(|(begin, _)| *begin <= step).last();
        match (begun, self.then.first()) {
            (Some((begin, then)), _) => then.rate(base_lr, step - begin),
            (None, Some(then)) => (self.form.rate)(&self.values, then.rate(base_lr, 0), step),
            (None, None) => (self.form.rate)(&self.values, base_lr, step),
        }
    }

    /// The step after which a falling `cosine` rises again.
    pub fn turn(&self) -> Option<u64> {
        if self.then.is_empty() {
            return (self.form.turn)(&self.values);
        }
        let ends = self.parts().skip(1).map(|(begin, _)| begin).chain([u64::MAX]);
        let turns = self.parts().zip(ends).map(|((begin, then), end)| {
            let turn = then.turn()?.saturating_add(begin);
            (turn.saturating_add(1) < end).then_some(turn)
        });
        turns.flatten().next()
    }

    /// Steps of warm-up before the schedule that follows it.
    pub fn warmup(&self) -> u64 {
        let then = self.then.first().map_or(0, Schedule::warmup);
        (self.form.warmup)(&self.values).saturating_add(then)
    }

    /// What decides the rate by a metric, if anything does: its own form, or the one behind a warm-up.
    fn observer(&self) -> Option<(&Values, Observe)> {
        match self.then.first() {
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
        match (self.form.follows, self.then.first()) {
            (Follows::One, Some(then)) => table.serialize_entry("then", then)?,
            (Follows::Sequence, _) => table.serialize_entry("schedules", &self.then)?,
            _ => {}
        }
        table.end()
    }
}

impl fmt::Display for Schedule {
    /// The text that [`FromStr`](std::str::FromStr) reads back as the same schedule, with every attribute in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&named_values(self.name(), &self.values))?;
        self.then.iter().try_for_each(|then| write!(f, "/{then}"))
    }
}
