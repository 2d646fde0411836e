//! A schedule as a run is told it: what it leaves open, the run decides.

use super::text::{Head, build, heads_of_json, heads_of_text, write_head};
use super::{Schedule, ScheduleError, form};
use crate::attribute::excerpt;
use crate::optim::Takes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// A schedule whose lengths may be in epochs, and which ends with the run where no length is given.
///
/// `polynomial`, `warmup:steps=1epochs/cosine:eta_min=1e-5` and `one_cycle` all end with the run, whatever its length;
/// [`RunSchedule::resolve`] gives the formula in steps.
///
/// ```
/// use tilewright::optim::schedule::{RunLength, RunSchedule};
///
/// let schedule: RunSchedule = "warmup:steps=1epochs/linear".parse()?;
/// let run = RunLength { steps_per_epoch: 10, total_steps: 50, lr: 0.1 };
/// let rates = schedule.resolve(run)?;
/// assert_eq!((rates.warmup(), rates.rate(0.1, 10), rates.rate(0.1, 50)), (10, 0.1, 0.0));
/// # Ok::<(), tilewright::optim::schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "String")]
pub struct RunSchedule {
    heads: Vec<Head>,
}

/// What a schedule needs to know of its run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunLength {
    /// Updates in an epoch.
    pub steps_per_epoch: u64,
    /// Updates in the run.
    pub total_steps: u64,
    /// The run's learning rate.
    pub lr: f64,
}

/// From here on f64 skips whole numbers.
const MOST_STEPS: f64 = 9_007_199_254_740_992.0;

impl RunSchedule {
    /// The schedule in steps. What follows a warm-up ends with the run, too: its length is that of the run less the
    /// warm-up's. In a sequence, each schedule ends where the next begins, and the last with the run.
    ///
    /// # Errors
    /// An attribute that the schedule does not take, or a length that is none.
    pub fn resolve(&self, run: RunLength) -> Result<Schedule, ScheduleError> {
        let mut heads = Vec::with_capacity(self.heads.len());
        // Two at least: a `one_cycle` of one step is over before it begins.
        let at_least_two = |steps: u64| steps.max(2);
        // The lengths of the schedules that are still to come, the next one's last.
        let mut left = vec![at_least_two(run.total_steps)];
        for head in &self.heads {
            let form = form::find(&head.name)?;
            let mut head = Head { attributes: in_steps(head, run.steps_per_epoch)?, ..head.clone() };
            let whole = left.pop().unwrap_or(2);
            left.extend(form.lengths_of(&head.attributes, whole).into_iter().rev().map(at_least_two));
            let own = at_least_two(whole.saturating_sub(form.warmup_of(&head.attributes)));
            for attribute in form.attributes {
                let open = match attribute.takes {
                    Takes::StepsToEnd(_) => Value::from(own),
                    Takes::Rate => Value::from(run.lr),
                    _ => continue,
                };
                if !head.attributes.contains_key(attribute.name) {
                    head.attributes.insert(attribute.name.to_owned(), open);
                }
            }
            heads.push(head);
        }
        build(&heads)
    }
}

/// The attributes of a head, with lengths in epochs as steps.
fn in_steps(head: &Head, steps_per_epoch: u64) -> Result<serde_json::Map<String, Value>, ScheduleError> {
    let mut attributes = head.attributes.clone();
    let form = form::find(&head.name)?;
    for attribute in form.attributes {
        let Some(value) = attributes.get_mut(attribute.name) else { continue };
        let bad = |value: &Value| ScheduleError::BadAttribute {
            schedule: form.name,
            attribute: attribute.name,
            value: excerpt(&value.to_string()),
            expected: attribute.takes.describe(),
        };
        match (attribute.takes, &mut *value) {
            (Takes::Steps(_) | Takes::StepsOr(..) | Takes::StepsToEnd(_), Value::String(text)) => {
                *value = steps_of(text, steps_per_epoch).ok_or_else(|| bad(&Value::from(text.as_str())))?;
            }
            (Takes::StepList, Value::String(text)) => {
                *value = steps_of(text, steps_per_epoch).ok_or_else(|| bad(&Value::from(text.as_str())))?;
            }
            (Takes::StepList, Value::Array(items)) => {
                for item in items {
                    if let Value::String(text) = item {
                        *item = steps_of(text, steps_per_epoch).ok_or_else(|| bad(&Value::from(text.as_str())))?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(attributes)
}

/// The steps of a length such as `30epochs` or `0.5epochs`; one step at least, where it is above 0.
fn steps_of(text: &str, steps_per_epoch: u64) -> Option<Value> {
    let number = text.strip_suffix("epochs").or_else(|| text.strip_suffix("epoch"))?;
    let epochs: f64 = number.trim().parse().ok().filter(|epochs: &f64| *epochs >= 0.0)?;
    let steps = (epochs * steps_per_epoch as f64).round();
    let steps = if epochs > 0.0 { steps.max(1.0) } else { steps };
    (steps < MOST_STEPS).then(|| Value::from(steps as u64))
}

impl FromStr for RunSchedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<RunSchedule, ScheduleError> {
        heads_of_text(text).and_then(RunSchedule::checked)
    }
}

impl TryFrom<Value> for RunSchedule {
    type Error = ScheduleError;

    /// From the text form, or from an object of `name` and the attributes.
    fn try_from(value: Value) -> Result<RunSchedule, ScheduleError> {
        heads_of_json(&value).and_then(RunSchedule::checked)
    }
}

impl RunSchedule {
    /// Refuses now what no run could take.
    fn checked(heads: Vec<Head>) -> Result<RunSchedule, ScheduleError> {
        let schedule = RunSchedule { heads };
        schedule.resolve(RunLength { steps_per_epoch: 1000, total_steps: 1000, lr: 1.0 })?;
        Ok(schedule)
    }
}

impl Default for RunSchedule {
    /// `cosine`, to the end of the run.
    fn default() -> RunSchedule {
        RunSchedule { heads: vec![Head { name: "cosine".to_owned(), attributes: serde_json::Map::new() }] }
    }
}

impl From<RunSchedule> for String {
    fn from(schedule: RunSchedule) -> String {
        schedule.to_string()
    }
}

impl fmt::Display for RunSchedule {
    /// What was written, and no more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Head { name, attributes }) in self.heads.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            write_head(f, name, attributes)?;
        }
        Ok(())
    }
}
