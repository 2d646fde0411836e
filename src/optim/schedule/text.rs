//! Schedules as text: `cosine:T_max=100,eta_min=0`, `multistep:milestones=30,60`, and with a warm-up before it
//! `warmup:steps=5,start_factor=0.1/step:step_size=30`.
//!
//! Text and JSON are first read into a chain of heads, warm-ups and then one schedule, of which
//! [`Schedule::from_attributes`] makes the schedule.

use super::super::attribute::number_text;
use super::super::attributes::{excerpt, read_attributes};
use super::{Schedule, ScheduleError};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

/// Warm-ups before a schedule, at most; one is what people want.
const MOST_WARMUPS: usize = 8;

/// A name with its attributes, as they were written; a warm-up has no `then` among them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub name: String,
    pub attributes: Map<String, Value>,
}

impl Head {
    /// Of one warm-up or schedule.
    fn read(text: &str) -> Result<Head, ScheduleError> {
        let list = text.split_once(':').map_or("", |(_, list)| list);
        let attributes =
            read_attributes(list).map_err(|reason| ScheduleError::Syntax { text: excerpt(text), reason })?;
        Ok(Head { name: name_of(text).to_owned(), attributes })
    }
}

/// Reads the text form: warm-ups, and then a schedule.
pub(super) fn heads_of_text(text: &str) -> Result<Vec<Head>, ScheduleError> {
    let mut heads = Vec::new();
    let mut rest = text;
    while let Some((head, then)) = rest.split_once('/').filter(|(head, _)| name_of(head) == "warmup") {
        push(&mut heads, Head::read(head)?)?;
        rest = then;
    }
    push(&mut heads, Head::read(rest)?)?;
    Ok(heads)
}

/// Reads the text form, or an object of `name` and the attributes; a warm-up's `then` is either.
pub(super) fn heads_of_json(value: &Value) -> Result<Vec<Head>, ScheduleError> {
    let syntax = |value: &Value, reason: &str| {
        Err(ScheduleError::Syntax { text: excerpt(&value.to_string()), reason: reason.to_owned() })
    };
    let mut heads: Vec<Head> = Vec::new();
    let mut next = Some(value);
    while let Some(value) = next.take() {
        match value {
            Value::String(text) => {
                for head in heads_of_text(text)? {
                    push(&mut heads, head)?;
                }
            }
            Value::Object(object) => {
                let Some(Value::String(name)) = object.get("name") else {
                    return syntax(value, "it has no `name`");
                };
                let is_warmup = name == "warmup";
                next = object.get("then").filter(|_| is_warmup);
                let own = object.iter().filter(|(key, _)| *key != "name" && !(is_warmup && *key == "then"));
                let attributes = own.map(|(key, value)| (key.clone(), value.clone())).collect();
                push(&mut heads, Head { name: name.clone(), attributes })?;
            }
            other => return syntax(other, "it is neither text nor an object"),
        }
    }
    Ok(heads)
}

/// Adds a head; refuses the one too many, so that no text is followed into its depths.
fn push(heads: &mut Vec<Head>, head: Head) -> Result<(), ScheduleError> {
    if heads.len() > MOST_WARMUPS {
        return Err(ScheduleError::TooDeep { most: MOST_WARMUPS });
    }
    heads.push(head);
    Ok(())
}

/// The schedule of a chain.
pub(super) fn build(heads: &[Head]) -> Result<Schedule, ScheduleError> {
    let mut built: Option<Schedule> = None;
    for Head { name, attributes } in heads.iter().rev() {
        let mut attributes = attributes.clone();
        if let Some(then) = built.take()
            && attributes.insert("then".to_owned(), Value::from(then.to_string())).is_some()
        {
            let reason = "what follows the warm-up is given twice".to_owned();
            return Err(ScheduleError::Syntax { text: name.clone(), reason });
        }
        built = Some(Schedule::from_attributes(name, &attributes.into())?);
    }
    built.ok_or_else(|| ScheduleError::UnknownSchedule { name: String::new() })
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Schedule, ScheduleError> {
        build(&heads_of_text(text)?)
    }
}

impl TryFrom<Value> for Schedule {
    type Error = ScheduleError;

    /// From the text form, or from an object of `name` and the attributes.
    fn try_from(value: Value) -> Result<Schedule, ScheduleError> {
        build(&heads_of_json(&value)?)
    }
}

fn name_of(head: &str) -> &str {
    head.split_once(':').map_or(head, |(name, _)| name).trim()
}

/// Writes a head so that it is read back as the same.
pub(super) fn write_head(f: &mut fmt::Formatter<'_>, name: &str, attributes: &Map<String, Value>) -> fmt::Result {
    f.write_str(name)?;
    let attributes = attributes.iter().filter(|(key, _)| *key != "name" && *key != "then");
    for (index, (key, value)) in attributes.enumerate() {
        let separator = if index == 0 { ":" } else { "," };
        write!(f, "{separator}{key}={}", value_text(value))?;
    }
    Ok(())
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(word) => word.clone(),
        Value::Array(items) => items.iter().map(value_text).collect::<Vec<_>>().join("+"),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => number_text(float),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
