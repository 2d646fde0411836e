//! Schedules on the command line: `cosine:T_max=100,eta_min=0`, `multistep:milestones=30+60`,
//! and with a warm-up before it `warmup:steps=5,start_factor=0.1/step:step_size=30`.

use super::{Schedule, ScheduleError};
use serde_json::{Map, Number, Value};
use std::fmt;
use std::str::FromStr;

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Schedule, ScheduleError> {
        let syntax = |reason: String| ScheduleError::Syntax { text: text.to_string(), reason };
        let (head, then) = match text.split_once('/') {
            Some((head, then)) if name_of(head) == "warmup" => (head, Some(then)),
            _ => (text, None),
        };
        let mut attrs = Map::new();
        let list = head.split_once(':').map_or("", |(_, list)| list);
        for pair in list.split(',').filter(|_| !list.trim().is_empty()) {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| syntax(format!("`{pair}` is not of the form key=value")))?;
            let key = key.trim();
            if attrs.insert(key.to_string(), value_of(value.trim())).is_some() {
                return Err(syntax(format!("`{key}` is given twice")));
            }
        }
        if let Some(then) = then {
            let then: Schedule = then.parse()?;
            if attrs.insert("then".to_string(), then.to_json()).is_some() {
                return Err(syntax("what follows the warm-up is given twice".to_string()));
            }
        }
        Schedule::from_attributes(name_of(head), &Value::Object(attrs))
    }
}

fn name_of(head: &str) -> &str {
    head.split_once(':').map_or(head, |(name, _)| name).trim()
}

/// A number, a list of numbers joined by `+`, or else a word.
fn value_of(text: &str) -> Value {
    if text.is_empty() {
        return Value::Array(Vec::new());
    }
    number_of(text)
        .or_else(|| text.split('+').map(number_of).collect())
        .unwrap_or_else(|| Value::String(text.to_string()))
}

fn number_of(text: &str) -> Option<Value> {
    let whole = text.parse::<u64>().ok().map(Number::from);
    whole.or_else(|| Number::from_f64(text.parse().ok()?)).map(Value::Number)
}

impl fmt::Display for Schedule {
    /// The text that [`FromStr`] reads back as the same schedule, with every attribute in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let json = self.to_json();
        let attributes = json.as_object().into_iter().flatten();
        let attributes = attributes.filter(|(key, _)| *key != "name" && *key != "then");
        for (index, (key, value)) in attributes.enumerate() {
            let separator = if index == 0 { ":" } else { "," };
            write!(f, "{separator}{key}={}", value_text(value))?;
        }
        match self {
            Schedule::Warmup { then, .. } => write!(f, "/{then}"),
            _ => Ok(()),
        }
    }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(word) => word.clone(),
        Value::Array(items) => items.iter().map(value_text).collect::<Vec<_>>().join("+"),
        // `{}` gives 100 where `{:?}` gives 100.0, and `{:?}` 1e-8 where `{}` gives 0.00000001.
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                format!("{float}")
            }
            Some(float) if number.is_f64() => format!("{float:?}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

impl Schedule {
    fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("a schedule has only string keys")
    }
}

impl TryFrom<Value> for Schedule {
    type Error = ScheduleError;

    /// From the text form, or from an object of `name` and the attributes.
    fn try_from(value: Value) -> Result<Schedule, ScheduleError> {
        match value {
            Value::String(text) => text.parse(),
            Value::Object(mut attrs) => match attrs.shift_remove("name") {
                Some(Value::String(name)) => Schedule::from_attributes(&name, &attrs.into()),
                _ => Err(ScheduleError::Syntax {
                    text: Value::Object(attrs).to_string(),
                    reason: "it has no `name`".to_string(),
                }),
            },
            other => Err(ScheduleError::Syntax {
                text: other.to_string(),
                reason: "it is neither text nor an object".to_string(),
            }),
        }
    }
}
