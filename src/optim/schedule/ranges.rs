//! The range that each attribute of a schedule must lie in.

use super::{Schedule, ScheduleError};

#[derive(Clone, Copy)]
enum Range {
    AtLeastOne,
    NotNegative,
    Positive,
    ZeroToOne,
    BelowOne,
}
use Range::{AtLeastOne, BelowOne, NotNegative, Positive, ZeroToOne};

impl Schedule {
    /// Refuses an attribute out of range, so that no rate is NaN and no period zero.
    pub fn validate(&self) -> Result<(), ScheduleError> {
        for (attribute, value, range) in self.ranges() {
            if !range.holds(value) {
                return Err(ScheduleError::BadAttribute {
                    schedule: self.name().to_string(),
                    attribute,
                    value: value.to_string(),
                    expected: range.description().to_string(),
                });
            }
        }
        match self {
            Schedule::Warmup { then, .. } => then.validate(),
            _ => Ok(()),
        }
    }

    fn ranges(&self) -> Vec<(&'static str, f64, Range)> {
        match self {
            Schedule::Constant | Schedule::InverseSqrt => vec![],
            Schedule::Step { step_size, gamma } => {
                vec![("step_size", *step_size as f64, AtLeastOne), ("gamma", *gamma, NotNegative)]
            }
            Schedule::MultiStep { gamma, .. } | Schedule::Exponential { gamma } => {
                vec![("gamma", *gamma, NotNegative)]
            }
            Schedule::Cosine { t_max, eta_min } => {
                vec![("T_max", *t_max as f64, AtLeastOne), ("eta_min", *eta_min, NotNegative)]
            }
            Schedule::CosineWarmRestarts { t_0, t_mult, eta_min } => vec![
                ("T_0", *t_0 as f64, AtLeastOne),
                ("T_mult", *t_mult as f64, AtLeastOne),
                ("eta_min", *eta_min, NotNegative),
            ],
            Schedule::Linear { total_iters, start_factor, end_factor } => vec![
                ("total_iters", *total_iters as f64, AtLeastOne),
                ("start_factor", *start_factor, NotNegative),
                ("end_factor", *end_factor, NotNegative),
            ],
            Schedule::LinearWarmup { start_factor, total_iters } => {
                vec![("start_factor", *start_factor, NotNegative), ("total_iters", *total_iters as f64, AtLeastOne)]
            }
            Schedule::LinearWarmupCosine { start_factor, warmup_steps: _, t_max, eta_min } => vec![
                ("start_factor", *start_factor, NotNegative),
                ("T_max", *t_max as f64, AtLeastOne),
                ("eta_min", *eta_min, NotNegative),
            ],
            Schedule::Polynomial { total_iters, power } => {
                vec![("total_iters", *total_iters as f64, AtLeastOne), ("power", *power, NotNegative)]
            }
            Schedule::Inverse { k } => vec![("k", *k, NotNegative)],
            Schedule::OneCycle(cycle) => vec![
                ("max_lr", cycle.max_lr, NotNegative),
                ("total_steps", cycle.total_steps as f64, AtLeastOne),
                ("pct_start", cycle.pct_start, ZeroToOne),
                ("div_factor", cycle.div_factor, Positive),
                ("final_div_factor", cycle.final_div_factor, Positive),
            ],
            Schedule::Plateau(plateau) => vec![
                ("factor", plateau.factor, BelowOne),
                ("threshold", plateau.threshold, NotNegative),
                ("min_lr", plateau.min_lr, NotNegative),
                ("eps", plateau.eps, NotNegative),
            ],
            Schedule::Warmup { start_factor, .. } => {
                vec![("start_factor", *start_factor, NotNegative)]
            }
        }
    }
}

impl Range {
    fn holds(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                AtLeastOne => value >= 1.0,
                NotNegative => value >= 0.0,
                Positive => value > 0.0,
                ZeroToOne => (0.0..=1.0).contains(&value),
                BelowOne => (0.0..1.0).contains(&value),
            }
    }

    fn description(self) -> &'static str {
        match self {
            AtLeastOne => "a whole number of at least 1",
            NotNegative => "a finite number of at least 0",
            Positive => "a finite number above 0",
            ZeroToOne => "a number from 0 to 1",
            BelowOne => "a number of at least 0 and below 1",
        }
    }
}
