//! The trials of a sweep: each a choice of all searched settings.

use super::super::{Resolved, TrainError};
use super::setting::text;
use super::{Axis, Search, Space, SweepConfig, SweepError, SweepSetting};
use crate::data::Splits;
use crate::models::{self, ModelOptions};
use crate::recipe::TrainConfig;
use crate::setting::{BadSetting, Setting};
use serde_json::Value;

/// One choice of all searched settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Counted from 1.
    pub number: usize,
    /// Name and value, in the order they were asked for.
    pub settings: Vec<(String, Value)>,
    /// With these settings in it.
    pub config: TrainConfig,
}

/// Beyond this, a grid is more likely a mistake than a wish.
const MOST_TRIALS: usize = 10_000;

impl Trial {
    /// `lr=1e-3 optimizer=adam`.
    pub fn describe(&self) -> String {
        let settings = self.settings.iter().map(|(name, value)| format!("{name}={}", text(value)));
        settings.collect::<Vec<_>>().join(" ")
    }

    /// Checks what can be checked before the model is built.
    pub(super) fn check(&self, splits: &Splits) -> Result<(), TrainError> {
        let config = &self.config;
        config.validate()?;
        Resolved::of(config, splits.train.len())?;
        models::find(&config.model)?.input(&ModelOptions::from(config.attributes.clone()))?;
        Ok(())
    }
}

/// The trials of a definition, in the order they are run.
pub(super) fn trials(config: &SweepConfig, axes: &[Axis]) -> Result<Vec<Trial>, SweepError> {
    let count = match (config.search, config.trials) {
        _ if axes.is_empty() => {
            let rule = format!("given, with values to try, such as {}", Setting("grid").to("lr=1e-3,1e-2"));
            return Err(BadSetting::new("grid", "missing", rule).into());
        }
        (Search::Grid, Some(trials)) => {
            let rule = format!("left out with {}, which has as many trials as values", Setting("grid"));
            return Err(BadSetting::new("trials", trials, rule).into());
        }
        (Search::Grid, None) => axes.iter().map(Axis::values).try_fold(1_usize, |product, n| product.checked_mul(n)),
        (Search::Random, trials) => Some(trials.unwrap_or(0)),
    };
    let count = count.filter(|count| (1..=MOST_TRIALS).contains(count)).ok_or_else(|| {
        let value = count.map_or("too large to count".to_owned(), |count| count.to_string());
        let rule = format!("from 1 to {MOST_TRIALS}");
        let name = if config.search == Search::Grid { "grid" } else { "trials" };
        let value = if name == "grid" { format!("{value} trials") } else { value };
        BadSetting::new(name, value, rule)
    })?;
    (0..count).map(|index| trial(config, axes, index)).collect()
}

/// Trial `index`, counted from 0.
fn trial(config: &SweepConfig, axes: &[Axis], index: usize) -> Result<Trial, SweepError> {
    // The digits of `index`, each to the base of its axis' number of values.
    let mut rest = index;
    let mut digits: Vec<usize> = axes
        .iter()
        .rev()
        .map(|axis| {
            let digit = rest % axis.values().max(1);
            rest /= axis.values().max(1);
            digit
        })
        .collect();
    digits.reverse();
    let value = |(axis, digit): (&Axis, usize)| match (config.search, &axis.space) {
        (Search::Grid, Space::Choice(values)) => values[digit].clone(),
        _ => axis.draw(config.config.seed, index as u64),
    };
    let values: Vec<Value> = axes.iter().zip(digits).map(value).collect();
    let mut settings: Vec<(&SweepSetting, &Value)> = axes.iter().map(|axis| &axis.setting).zip(&values).collect();
    // A stable order: the optimizer comes before its attributes, which it would else undo.
    settings.sort_by_key(|(setting, _)| setting.is_attribute());
    let set =
        settings.into_iter().try_fold(config.config.clone(), |config, (setting, value)| setting.set(&config, value));
    let names = axes.iter().map(|axis| axis.setting.name.clone());
    Ok(Trial { number: index + 1, settings: names.zip(values).collect(), config: set? })
}
