//! Schedules as text: `cosine:T_max=100,eta_min=0`, `multistep:milestones=30,60`, and with a warm-up before it
//! `warmup:steps=5,start_factor=0.1/step:step_size=30`, or several in a row
//! `sequential:milestones=5,35/constant_factor/step:step_size=10/cosine:T_max=20`.
//!
//! Text and JSON are first read into a list of heads, each before those that follow it: one follows a warm-up, and one more
//! than milestones a sequence. Of these [`build`] makes the schedule.

use super::form::{self, Follows};
use super::{Schedule, ScheduleError};
use crate::attribute::{excerpt, number_text, read_attributes};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

/// Heads before the last, at most.
const MOST_BEFORE: usize = 8;

/// A name with its attributes, as they were written; what follows it is not among them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub name: String,
    pub attributes: Map<String, Value>,
}

impl Head {
    /// Of one warm-up, sequence or schedule.
    fn read(text: &str) -> Result<Head, ScheduleError> {
        let list = text.split_once(':').map_or("", |(_, list)| list);
        let attributes =
            read_attributes(list).map_err(|reason| ScheduleError::Syntax { text: excerpt(text), reason })?;
        Ok(Head { name: name_of(text).to_owned(), attributes })
    }
}

/// Reads the text form.
pub(super) fn heads_of_text(text: &str) -> Result<Vec<Head>, ScheduleError> {
    let mut heads = Vec::new();
    let (mut rest, mut wanted) = (text, 1);
    loop {
        let (first, then) = rest.split_once('/').map_or((rest, None), |(first, then)| (first, Some(then)));
        let follows = follows(name_of(first));
        if follows == Follows::None && wanted == 1 {
            push(&mut heads, Head::read(rest)?)?;
            return Ok(heads);
        }
        let head = Head::read(first)?;
        wanted += form::find(&head.name).map_or(0, |form| form.followers(&head.attributes));
        wanted -= 1;
        push(&mut heads, head)?;
        rest = match (then, follows) {
            (Some(then), _) => then,
            (None, Follows::One) => return Err(nothing_follows(name_of(first))),
            (None, _) => {
                let reason = format!("{wanted} more must follow after `/`, one more than milestones in all");
                return Err(ScheduleError::Syntax { text: excerpt(text), reason });
            }
        };
    }
}

/// Reads the text form, or an object of `name` and the attributes; what follows is either.
pub(super) fn heads_of_json(value: &Value) -> Result<Vec<Head>, ScheduleError> {
    let syntax = |value: &Value, reason: &str| {
        Err(ScheduleError::Syntax { text: excerpt(&value.to_string()), reason: reason.to_owned() })
    };
    let mut heads: Vec<Head> = Vec::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
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
                let key = follows(name).key();
                let own = object.iter().filter(|(own, _)| *own != "name" && Some(own.as_str()) != key);
                let attributes: Map<String, Value> = own.map(|(key, value)| (key.clone(), value.clone())).collect();
                let after = match (follows(name), key.and_then(|key| object.get(key))) {
                    (Follows::None, _) => &[],
                    (_, None) => return Err(nothing_follows(name)),
                    (Follows::Sequence, Some(Value::Array(schedules))) => schedules.as_slice(),
                    (_, Some(one)) => std::slice::from_ref(one),
                };
                let needs = form::find(name).map_or(0, |form| form.followers(&attributes));
                if after.len() != needs {
                    return Err(ScheduleError::Sequence { needs, given: after.len() });
                }
                open.extend(after.iter().rev());
                push(&mut heads, Head { name: name.clone(), attributes })?;
            }
            other => return syntax(other, "it is neither text nor an object"),
        }
    }
    Ok(heads)
}

/// What is written after the form of that name.
fn follows(name: &str) -> Follows {
    form::find(name).map_or(Follows::None, |form| form.follows)
}

fn nothing_follows(name: &str) -> ScheduleError {
    let missing = |form: &'static form::Form| Some((form.name, form.follows.key()?));
    match form::find(name).map(missing) {
        Ok(Some((schedule, attribute))) => ScheduleError::MissingAttribute { schedule, attribute },
        _ => ScheduleError::UnknownSchedule { name: excerpt(name) },
    }
}

/// Adds a head; refuses the one too many, so that no text is followed into its depths.
fn push(heads: &mut Vec<Head>, head: Head) -> Result<(), ScheduleError> {
    if heads.len() > MOST_BEFORE {
        return Err(ScheduleError::TooDeep { most: MOST_BEFORE });
    }
    heads.push(head);
    Ok(())
}

/// The schedule of heads, each before those that follow it.
pub(super) fn build(heads: &[Head]) -> Result<Schedule, ScheduleError> {
    // Those that nothing has taken for what follows it, the next one last.
    let mut built: Vec<Schedule> = Vec::new();
    for Head { name, attributes } in heads.iter().rev() {
        let form = form::find(name)?;
        let then = (0..form.followers(attributes)).filter_map(|_| built.pop()).collect();
        built.push(Schedule::of(form, attributes, then)?);
    }
    built.pop().ok_or_else(|| ScheduleError::UnknownSchedule { name: String::new() })
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
