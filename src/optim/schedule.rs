//! Learning-rate schedules: the rate in force during step t = 0, 1, ..., in f64.
//!
//! A step is whatever the caller counts, iterations or epochs. [`Schedule`] is the formula,
//! [`LearningRate`] a formula with its base rate and, for `plateau`, its memory.
//! `schedule/attributes.rs` reads schedules from JSON, `schedule/text.rs` from text. [`RunSchedule`] is what a run is
//! told, whose lengths may be in epochs or left to the run; `schedule/catalog.rs` has all of them by name.

mod attributes;
mod catalog;
mod learning_rate;
mod of_run;
mod ranges;
mod text;

pub use attributes::ScheduleError;
pub use catalog::{Attribute, CATALOG, Entry, Takes};
pub use learning_rate::LearningRate;
pub use of_run::{RunLength, RunSchedule};

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", try_from = "serde_json::Value")]
#[expect(missing_docs, reason = "the formula of each says what its attributes are")]
pub enum Schedule {
    /// base
    Constant,
    /// base * gamma^floor(t / step_size)
    Step { step_size: u64, gamma: f64 },
    /// base * gamma^(number of milestones <= t)
    #[serde(rename = "multistep")]
    MultiStep { milestones: Vec<u64>, gamma: f64 },
    /// base * gamma^t
    Exponential { gamma: f64 },
    /// eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2, which rises again past T_max
    /// (Loshchilov and Hutter 2017, equation 5, without the restarts).
    Cosine {
        #[serde(rename = "T_max")]
        t_max: u64,
        eta_min: f64,
    },
    /// `cosine` with t counted from the last restart; the periods are T_0, T_0 * T_mult, ...
    /// (Loshchilov and Hutter 2017, equation 5).
    CosineWarmRestarts {
        #[serde(rename = "T_0")]
        t_0: u64,
        #[serde(rename = "T_mult")]
        t_mult: u64,
        eta_min: f64,
    },
    /// base * (s + (e - s) min(t, T) / T), s the start factor, e the end factor, T the total iterations
    Linear { total_iters: u64, start_factor: f64, end_factor: f64 },
    /// base * (f + (1 - f) min(t, T) / T), f the start factor, T the total iterations
    LinearWarmup { start_factor: f64, total_iters: u64 },
    /// `linear_warmup` over W = warmup_steps, then `cosine` at t - W
    LinearWarmupCosine {
        start_factor: f64,
        warmup_steps: u64,
        #[serde(rename = "T_max")]
        t_max: u64,
        eta_min: f64,
    },
    /// base * (1 - min(t, T) / T)^power, T the total iterations
    Polynomial { total_iters: u64, power: f64 },
    /// base / (1 + k t)
    Inverse { k: f64 },
    /// base / sqrt(1 + t)
    InverseSqrt,
    /// Up to `max_lr` and down again; the base rate is not used (Smith and Topin 2018).
    OneCycle(OneCycle),
    /// Lowers the rate when a metric stops getting better; see [`LearningRate::observe`].
    Plateau(Plateau),
    /// Any schedule after `steps` of linear warm-up: for t < W = steps
    /// first * (f + (1 - f) t / W) where `first` is the rate that `then` begins with,
    /// from t = W on `then` at t - W.
    Warmup { steps: u64, start_factor: f64, then: Box<Schedule> },
}

/// Attributes of the one-cycle schedule, for t = 0 .. total_steps - 1; later steps keep the last rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OneCycle {
    /// The highest rate.
    pub max_lr: f64,
    /// Steps of the cycle.
    pub total_steps: u64,
    /// Share of the steps in which the rate rises.
    pub pct_start: f64,
    /// The curve of both legs.
    pub anneal_strategy: Anneal,
    /// The first rate is max_lr / div_factor.
    pub div_factor: f64,
    /// The last rate is the first / final_div_factor.
    pub final_div_factor: f64,
    /// Comes down to the first rate as long as it rose, and only then to the last.
    pub three_phase: bool,
}

impl OneCycle {
    /// The usual cycle: 30 % up, the rest down, along cosines.
    pub fn new(max_lr: f64, total_steps: u64) -> OneCycle {
        OneCycle {
            max_lr,
            total_steps,
            pct_start: 0.3,
            anneal_strategy: Anneal::Cos,
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
        }
    }

    fn rate(&self, step: u64) -> f64 {
        let steps = self.total_steps as f64;
        let last = steps - 1.0;
        let t = (step as f64).min(last);
        let first_rate = self.max_lr / self.div_factor;
        let last_rate = first_rate / self.final_div_factor;
        let top = self.pct_start * steps - 1.0;
        let back = 2.0 * self.pct_start * steps - 2.0;

        let (from, to, begin, end) = if t <= top {
            (first_rate, self.max_lr, 0.0, top)
        } else if !self.three_phase {
            (self.max_lr, last_rate, top, last)
        } else if t <= back {
            (self.max_lr, first_rate, top, back)
        } else {
            (first_rate, last_rate, back, last)
        };
        // A rising leg may be a single step long (pct_start * total_steps = 1): then it is done.
        let share = match end > begin {
            true => (t - begin) / (end - begin),
            false => 1.0,
        };
        match self.anneal_strategy {
            Anneal::Cos => to + (from - to) / 2.0 * (1.0 + (PI * share).cos()),
            Anneal::Linear => from + (to - from) * share,
        }
    }
}

/// The curve of a leg of [`OneCycle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Anneal {
    /// Half a period of a cosine.
    Cos,
    /// A straight line.
    Linear,
}

/// Attributes of the plateau schedule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plateau {
    /// Whether a smaller or a larger metric is better.
    pub mode: Mode,
    /// What the rate is multiplied by; below 1.
    pub factor: f64,
    /// How many observations in a row may bring nothing better before the rate falls.
    pub patience: u64,
    /// By how much the best must be passed to count as better.
    pub threshold: f64,
    /// Whether `threshold` is a share of the best or a difference.
    pub threshold_mode: ThresholdMode,
    /// Observations after a reduction that count as neither good nor bad.
    pub cooldown: u64,
    /// No rate is below it.
    pub min_lr: f64,
    /// A reduction by this much or less is not made.
    pub eps: f64,
}

impl Default for Plateau {
    fn default() -> Plateau {
        Plateau {
            mode: Mode::Min,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            threshold_mode: ThresholdMode::Rel,
            cooldown: 0,
            min_lr: 0.0,
            eps: 1e-8,
        }
    }
}

/// Which metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The smaller one, such as a loss.
    Min,
    /// The larger one, such as an accuracy.
    Max,
}

/// What a threshold is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdMode {
    /// A share of the best metric.
    Rel,
    /// A difference from the best metric.
    Abs,
}

impl Schedule {
    /// The rate during `step`. For `plateau` this is `base_lr` itself, which [`LearningRate`] lowers.
    pub fn rate(&self, base_lr: f64, step: u64) -> f64 {
        let t = step as f64;
        match self {
            Schedule::Constant | Schedule::Plateau(_) => base_lr,
            Schedule::Step { step_size, gamma } => base_lr * gamma.powf((step / step_size) as f64),
            Schedule::MultiStep { milestones, gamma } => {
                let passed = milestones.iter().filter(|&&m| m <= step).count();
                base_lr * gamma.powf(passed as f64)
            }
            Schedule::Exponential { gamma } => base_lr * gamma.powf(t),
            Schedule::Cosine { t_max, eta_min } => cosine(base_lr, *eta_min, step, *t_max),
            Schedule::CosineWarmRestarts { t_0, t_mult, eta_min } => {
                let (since_restart, period) = position_in_period(step, *t_0, *t_mult);
                cosine(base_lr, *eta_min, since_restart, period)
            }
            Schedule::Linear { total_iters, start_factor, end_factor } => {
                let done = step.min(*total_iters) as f64 / *total_iters as f64;
                base_lr * (start_factor + (end_factor - start_factor) * done)
            }
            Schedule::LinearWarmup { start_factor, total_iters } => {
                base_lr * warmup_factor(*start_factor, step, *total_iters)
            }
            Schedule::LinearWarmupCosine { start_factor, warmup_steps, t_max, eta_min } => {
                match step.checked_sub(*warmup_steps) {
                    None => base_lr * warmup_factor(*start_factor, step, *warmup_steps),
                    Some(after) => cosine(base_lr, *eta_min, after, *t_max),
                }
            }
            Schedule::Polynomial { total_iters, power } => {
                let done = step.min(*total_iters) as f64 / *total_iters as f64;
                base_lr * (1.0 - done).powf(*power)
            }
            Schedule::Inverse { k } => base_lr / (1.0 + k * t),
            Schedule::InverseSqrt => base_lr / (1.0 + t).sqrt(),
            Schedule::OneCycle(cycle) => cycle.rate(step),
            Schedule::Warmup { steps, start_factor, then } => match step.checked_sub(*steps) {
                None => then.rate(base_lr, 0) * warmup_factor(*start_factor, step, *steps),
                Some(after) => then.rate(base_lr, after),
            },
        }
    }

    /// The step after which a falling `cosine` rises again.
    pub fn turn(&self) -> Option<u64> {
        match self {
            Schedule::Cosine { t_max, .. } => Some(*t_max),
            Schedule::LinearWarmupCosine { warmup_steps, t_max, .. } => Some(warmup_steps.saturating_add(*t_max)),
            Schedule::Warmup { steps, then, .. } => Some(then.turn()?.saturating_add(*steps)),
            _ => None,
        }
    }

    /// Steps of warm-up before the schedule that follows it.
    pub fn warmup(&self) -> u64 {
        match self {
            Schedule::LinearWarmupCosine { warmup_steps, .. } => *warmup_steps,
            Schedule::Warmup { steps, then, .. } => steps.saturating_add(then.warmup()),
            _ => 0,
        }
    }

    /// The plateau that decides the rate, if one does: its own, or the one behind a warm-up.
    pub fn plateau(&self) -> Option<&Plateau> {
        match self {
            Schedule::Plateau(plateau) => Some(plateau),
            Schedule::Warmup { then, .. } => then.plateau(),
            _ => None,
        }
    }
}

fn cosine(base_lr: f64, eta_min: f64, step: u64, half_period: u64) -> f64 {
    // The angle is reduced in integers, so a long run loses no precision to a large argument.
    let reduced = step % half_period.saturating_mul(2);
    let angle = PI * reduced as f64 / half_period as f64;
    eta_min + (base_lr - eta_min) * (1.0 + angle.cos()) / 2.0
}

/// From `start_factor` at step 0 to 1 at `total` and after.
fn warmup_factor(start_factor: f64, step: u64, total: u64) -> f64 {
    start_factor + (1.0 - start_factor) * (step.min(total) as f64 / total as f64)
}

/// The steps since the last warm restart, and the length of the period that it began.
fn position_in_period(step: u64, first_period: u64, growth: u64) -> (u64, u64) {
    if growth == 1 {
        return (step % first_period, first_period);
    }
    let (mut since_restart, mut period) = (step, first_period);
    while since_restart >= period {
        since_restart -= period;
        period = period.saturating_mul(growth);
    }
    (since_restart, period)
}
