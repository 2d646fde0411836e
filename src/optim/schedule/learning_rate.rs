//! A schedule at work: its base rate, and what `plateau` remembers of the metric.

use super::form::Observed;
use super::{Schedule, ScheduleError};
use serde::{Deserialize, Serialize};

/// The learning rate of a run.
///
/// Serialised into a checkpoint and read back, it goes on with the same bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearningRate {
    schedule: Schedule,
    base_lr: f64,
    /// Present when the schedule's rate depends on a metric.
    plateau: Option<Observed>,
}

impl LearningRate {
    /// Refuses a base rate that is negative or not finite.
    pub fn new(schedule: Schedule, base_lr: f64) -> Result<LearningRate, ScheduleError> {
        if !base_lr.is_finite() || base_lr < 0.0 {
            return Err(ScheduleError::BadBaseRate(base_lr));
        }
        let plateau = schedule.observer().map(|_| Observed { lr: base_lr, best: None, bad: 0, cooling: 0 });
        Ok(LearningRate { schedule, base_lr, plateau })
    }

    /// The rate in force during `step`. For `plateau` it is the rate that the observations so far
    /// have led to, whatever the step.
    pub fn rate(&self, step: u64) -> f64 {
        let base_lr = self.plateau.as_ref().map_or(self.base_lr, |state| state.lr);
        self.schedule.rate(base_lr, step)
    }

    /// Tells `plateau` the metric after a step; true if the rate fell. Other schedules ignore it.
    ///
    /// A metric that is not finite is never better than the best so far.
    pub fn observe(&mut self, metric: f64) -> bool {
        match (self.schedule.observer(), &mut self.plateau) {
            (Some((of, observe)), Some(state)) => observe(of, state, metric),
            _ => false,
        }
    }

    /// Goes on from what `earlier`, a learning rate of the same run, remembers of the metric. Under another base rate the
    /// rate begins there anew, under another schedule all does.
    pub fn go_on_from(&mut self, earlier: LearningRate) {
        let is_same_rate = self.base_lr == earlier.base_lr;
        if self.schedule != earlier.schedule {
            return;
        }
        if let (Some(state), Some(earlier)) = (&mut self.plateau, earlier.plateau) {
            let lr = if is_same_rate { earlier.lr } else { state.lr };
            *state = Observed { lr, ..earlier };
        }
    }

    /// Whether the rate depends on what [`LearningRate::observe`] is told.
    pub fn needs_metric(&self) -> bool {
        self.plateau.is_some()
    }

    /// What gives the rates.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The rate that the schedule scales.
    pub fn base_lr(&self) -> f64 {
        self.base_lr
    }
}
