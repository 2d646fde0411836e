//! A schedule from its name and a JSON object of attributes, and what can be wrong with them.

use super::super::attributes::excerpt;
use super::catalog::CATALOG;
use super::{Anneal, Mode, OneCycle, Plateau, Schedule, ThresholdMode};
use serde_json::{Map, Value};

/// Why a schedule cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum ScheduleError {
    #[error("There is no schedule `{name}`. Known schedules: {}.", Schedule::names().join(", "))]
    UnknownSchedule { name: String },
    #[error("The schedule `{schedule}` needs the attribute `{attribute}`.")]
    MissingAttribute { schedule: String, attribute: &'static str },
    #[error("The schedule `{schedule}` has no attribute `{attribute}`. {known}")]
    UnknownAttribute { schedule: String, attribute: String, known: String },
    #[error("In the schedule `{schedule}`, `{attribute}` is {value}, but must be {expected}.")]
    BadAttribute { schedule: String, attribute: &'static str, value: String, expected: String },
    #[error("The schedule `{text}` cannot be read: {reason}. Write it like `step:step_size=30`.")]
    Syntax { text: String, reason: String },
    #[error("The schedule has more than {most} warm-ups one after the other; one is enough.")]
    TooDeep { most: usize },
    #[error("The base learning rate is {0}, but must be a finite number of at least 0.")]
    BadBaseRate(f64),
}

impl Schedule {
    /// Every name that [`Schedule::from_attributes`] and the text form know.
    pub fn names() -> [&'static str; CATALOG.len()] {
        CATALOG.map(|entry| entry.name)
    }

    /// From a name and a JSON object of attributes; absent ones have their defaults.
    ///
    /// `warmup` has the attributes `steps`, `start_factor` and `then`, itself a schedule.
    pub fn from_attributes(name: &str, attrs: &Value) -> Result<Schedule, ScheduleError> {
        let no_attributes = Map::new();
        let attrs = match attrs {
            Value::Object(map) => map,
            Value::Null => &no_attributes,
            other => {
                return Err(ScheduleError::Syntax {
                    text: name.to_string(),
                    reason: format!("its attributes are {other}, not an object"),
                });
            }
        };
        let mut a = Attributes { schedule: name, attrs, asked: Vec::new() };
        let schedule = match name {
            "constant" => Schedule::Constant,
            "step" => Schedule::Step { step_size: a.count("step_size", None)?, gamma: a.number("gamma", Some(0.1))? },
            "multistep" => {
                Schedule::MultiStep { milestones: a.counts("milestones")?, gamma: a.number("gamma", Some(0.1))? }
            }
            "exponential" => Schedule::Exponential { gamma: a.number("gamma", None)? },
            "cosine" => Schedule::Cosine { t_max: a.count("T_max", None)?, eta_min: a.number("eta_min", Some(0.0))? },
            "cosine_warm_restarts" => Schedule::CosineWarmRestarts {
                t_0: a.count("T_0", None)?,
                t_mult: a.count("T_mult", Some(1))?,
                eta_min: a.number("eta_min", Some(0.0))?,
            },
            "linear" => Schedule::Linear {
                total_iters: a.count("total_iters", None)?,
                start_factor: a.number("start_factor", Some(1.0))?,
                end_factor: a.number("end_factor", Some(0.0))?,
            },
            "linear_warmup" => Schedule::LinearWarmup {
                start_factor: a.number("start_factor", Some(1.0 / 3.0))?,
                total_iters: a.count("total_iters", Some(5))?,
            },
            "linear_warmup_cosine" => Schedule::LinearWarmupCosine {
                start_factor: a.number("start_factor", Some(1.0 / 3.0))?,
                warmup_steps: a.count("warmup_steps", None)?,
                t_max: a.count("T_max", None)?,
                eta_min: a.number("eta_min", Some(0.0))?,
            },
            "polynomial" => Schedule::Polynomial {
                total_iters: a.count("total_iters", Some(5))?,
                power: a.number("power", Some(1.0))?,
            },
            "inverse" => Schedule::Inverse { k: a.number("k", None)? },
            "inverse_sqrt" => Schedule::InverseSqrt,
            "one_cycle" => Schedule::OneCycle(one_cycle(&mut a)?),
            "plateau" => Schedule::Plateau(plateau(&mut a)?),
            "warmup" => Schedule::Warmup {
                steps: a.count("steps", None)?,
                start_factor: a.number("start_factor", Some(1.0 / 3.0))?,
                then: Box::new(match a.get("then") {
                    Some(then) => Schedule::try_from(then.clone())?,
                    None => return Err(a.missing("then")),
                }),
            },
            _ => {
                return Err(ScheduleError::UnknownSchedule { name: excerpt(name) });
            }
        };
        a.refuse_others()?;
        schedule.validate()?;
        Ok(schedule)
    }

    /// The name that [`Schedule::from_attributes`] knows it by.
    pub fn name(&self) -> &'static str {
        match self {
            Schedule::Constant => "constant",
            Schedule::Step { .. } => "step",
            Schedule::MultiStep { .. } => "multistep",
            Schedule::Exponential { .. } => "exponential",
            Schedule::Cosine { .. } => "cosine",
            Schedule::CosineWarmRestarts { .. } => "cosine_warm_restarts",
            Schedule::Linear { .. } => "linear",
            Schedule::LinearWarmup { .. } => "linear_warmup",
            Schedule::LinearWarmupCosine { .. } => "linear_warmup_cosine",
            Schedule::Polynomial { .. } => "polynomial",
            Schedule::Inverse { .. } => "inverse",
            Schedule::InverseSqrt => "inverse_sqrt",
            Schedule::OneCycle(_) => "one_cycle",
            Schedule::Plateau(_) => "plateau",
            Schedule::Warmup { .. } => "warmup",
        }
    }
}

fn one_cycle(a: &mut Attributes) -> Result<OneCycle, ScheduleError> {
    let usual = OneCycle::new(a.number("max_lr", None)?, a.count("total_steps", None)?);
    let curves = [("cos", Anneal::Cos), ("linear", Anneal::Linear)];
    let switch = [("true", true), ("false", false)];
    Ok(OneCycle {
        pct_start: a.number("pct_start", Some(usual.pct_start))?,
        anneal_strategy: a.choice("anneal_strategy", usual.anneal_strategy, &curves)?,
        div_factor: a.number("div_factor", Some(usual.div_factor))?,
        final_div_factor: a.number("final_div_factor", Some(usual.final_div_factor))?,
        three_phase: a.choice("three_phase", usual.three_phase, &switch)?,
        ..usual
    })
}

fn plateau(a: &mut Attributes) -> Result<Plateau, ScheduleError> {
    let usual = Plateau::default();
    let modes = [("min", Mode::Min), ("max", Mode::Max)];
    let threshold_modes = [("rel", ThresholdMode::Rel), ("abs", ThresholdMode::Abs)];
    Ok(Plateau {
        mode: a.choice("mode", usual.mode, &modes)?,
        factor: a.number("factor", Some(usual.factor))?,
        patience: a.count("patience", Some(usual.patience))?,
        threshold: a.number("threshold", Some(usual.threshold))?,
        threshold_mode: a.choice("threshold_mode", usual.threshold_mode, &threshold_modes)?,
        cooldown: a.count("cooldown", Some(usual.cooldown))?,
        min_lr: a.number("min_lr", Some(usual.min_lr))?,
        eps: a.number("eps", Some(usual.eps))?,
    })
}

/// Reads the attributes of one schedule, keeping count of those that were asked for.
struct Attributes<'a> {
    schedule: &'a str,
    attrs: &'a Map<String, Value>,
    asked: Vec<&'static str>,
}

impl<'a> Attributes<'a> {
    fn get(&mut self, attribute: &'static str) -> Option<&'a Value> {
        self.asked.push(attribute);
        self.attrs.get(attribute)
    }

    fn number(&mut self, attribute: &'static str, default: Option<f64>) -> Result<f64, ScheduleError> {
        match self.get(attribute) {
            None => default.ok_or_else(|| self.missing(attribute)),
            Some(value) => value.as_f64().ok_or_else(|| self.bad(attribute, value, "a number")),
        }
    }

    fn count(&mut self, attribute: &'static str, default: Option<u64>) -> Result<u64, ScheduleError> {
        match self.get(attribute) {
            None => default.ok_or_else(|| self.missing(attribute)),
            Some(value) => whole_number(value).ok_or_else(|| self.bad(attribute, value, "a whole number >= 0")),
        }
    }

    /// A list of whole numbers; a single number stands for a list of one.
    fn counts(&mut self, attribute: &'static str) -> Result<Vec<u64>, ScheduleError> {
        let value = self.get(attribute).ok_or_else(|| self.missing(attribute))?;
        let items = match value {
            Value::Array(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        let counts: Option<Vec<u64>> = items.iter().map(whole_number).collect();
        counts.ok_or_else(|| self.bad(attribute, value, "a list of whole numbers >= 0"))
    }

    /// One of a few words; the words `true` and `false` may also be JSON booleans.
    fn choice<T: Copy>(
        &mut self,
        attribute: &'static str,
        default: T,
        choices: &[(&str, T)],
    ) -> Result<T, ScheduleError> {
        let Some(value) = self.get(attribute) else {
            return Ok(default);
        };
        let word = match value {
            Value::String(word) => word.clone(),
            other => other.to_string(),
        };
        match choices.iter().find(|(name, _)| *name == word) {
            Some((_, choice)) => Ok(*choice),
            None => {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                Err(self.bad(attribute, value, &names.join(" or ")))
            }
        }
    }

    fn refuse_others(&self) -> Result<(), ScheduleError> {
        match self.attrs.keys().find(|key| !self.asked.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(ScheduleError::UnknownAttribute {
                schedule: self.schedule.to_string(),
                attribute: key.clone(),
                known: match self.asked.is_empty() {
                    true => "It has none.".to_string(),
                    false => format!("Its attributes: {}.", self.asked.join(", ")),
                },
            }),
        }
    }

    fn missing(&self, attribute: &'static str) -> ScheduleError {
        ScheduleError::MissingAttribute { schedule: self.schedule.to_string(), attribute }
    }

    fn bad(&self, attribute: &'static str, value: &Value, expected: &str) -> ScheduleError {
        ScheduleError::BadAttribute {
            schedule: self.schedule.to_string(),
            attribute,
            value: excerpt(&value.to_string()),
            expected: expected.to_string(),
        }
    }
}

/// A count, also where a writer of JSON made `30.0` of `30`.
fn whole_number(value: &Value) -> Option<u64> {
    /// From here on f64 skips whole numbers.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && (0.0..EXACT).contains(&number)).then_some(number as u64)
    })
}
