//! What can be wrong with a schedule.

use super::{Form, Schedule};
use crate::attribute::excerpt;

/// Why a schedule cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum ScheduleError {
    #[error("There is no schedule `{name}`. Known schedules: {}.", Schedule::names().join(", "))]
    UnknownSchedule { name: String },
    #[error("The schedule `{schedule}` needs the attribute `{attribute}`.")]
    MissingAttribute { schedule: &'static str, attribute: &'static str },
    #[error("The schedule `{schedule}` has no attribute `{attribute}`. {known}")]
    UnknownAttribute { schedule: &'static str, attribute: String, known: String },
    #[error("In the schedule `{schedule}`, `{attribute}` is {value}, but must be {expected}.")]
    BadAttribute { schedule: &'static str, attribute: &'static str, value: String, expected: String },
    #[error("The schedule `{text}` cannot be read: {reason}. Write it like `step:step_size=30`.")]
    Syntax { text: String, reason: String },
    #[error("The schedule `sequential` has {given} schedules, but must have {needs}, one more than milestones.")]
    Sequence { needs: usize, given: usize },
    #[error("`plateau` follows a metric from the first step on, and cannot stand in a `sequential`.")]
    MetricInSequence,
    #[error("The schedule has more than {most} warm-ups and schedules one after the other.")]
    TooDeep { most: usize },
    #[error("The base learning rate is {0}, but must be a finite number of at least 0.")]
    BadBaseRate(f64),
}

impl ScheduleError {
    pub(super) fn unknown_attribute(form: &Form, attribute: &str) -> ScheduleError {
        let names: Vec<&str> = form.attributes.iter().map(|row| row.name).collect();
        let known = match names.is_empty() {
            true => "It has none.".to_owned(),
            false => format!("Its attributes: {}.", names.join(", ")),
        };
        ScheduleError::UnknownAttribute { schedule: form.name, attribute: excerpt(attribute), known }
    }
}
