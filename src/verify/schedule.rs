//! Cases of kind `schedule`: the rates of a whole run.

use super::case::Case;
use super::{CaseError, Computed};
use crate::optim::schedule::{LearningRate, Schedule};
use serde_json::Value;

pub(super) fn run(case: &Case) -> Result<Computed, CaseError> {
    let number = |key: &str| {
        let number = case.value(key).and_then(Value::as_f64);
        number.ok_or_else(|| CaseError::Metadata { reason: format!("it has no number `{key}`") })
    };
    let schedule = Schedule::from_attributes(case.text("schedule")?, &Value::Object(case.attrs.clone()))?;
    let mut rate = LearningRate::new(schedule, number("base_lr")?)?;
    let metrics = case.value("metrics").and_then(Value::as_array);
    let mut rates = Vec::new();
    for step in 0..number("steps")? as u64 {
        rates.push(rate.rate(step));
        if rate.needs_metric() {
            let metric = metrics.and_then(|metrics| metrics.get(step as usize)).and_then(Value::as_f64);
            let reason = || CaseError::Metadata { reason: format!("it has no metric for step {step}") };
            rate.observe(metric.ok_or_else(reason)?);
        }
    }
    let mut computed = Computed::of(&[]);
    computed.insert("lr", [rates.len()], rates);
    Ok(computed)
}
