//! A few steps of training whose losses are all that is wanted.

use super::fitting::{Fitted, fitted};
use super::runner::Runner;
use super::start::start;
use super::step_metrics::{StepMetrics, StepSums};
use super::{Resolved, TrainError, init};
use crate::activity::Activity;
use crate::data::{Batches, Normalization, Splits};
use crate::recipe::TrainConfig;
use crate::session::Device;
use std::ops::RangeInclusive;

/// Rates beyond these are none to train at, and the device's f32 would make 0 or infinity of them.
pub(super) const RATES: RangeInclusive<f64> = 1e-30..=1e30;

/// Steps whose losses are kept and drawn, at most.
pub(super) const MOST_STEPS: u64 = 100_000;

/// A training run that keeps nothing but its weights on the device.
pub(super) struct Trial<'a> {
    config: &'a TrainConfig,
    splits: &'a Splits,
    resolved: Resolved,
    normalization: Normalization,
    runner: Runner,
    sums: StepSums,
    notes: Vec<String>,
}

impl<'a> Trial<'a> {
    /// # Errors
    /// When settings, data, model and device do not go together.
    pub(super) fn new(
        config: &'a TrainConfig,
        splits: &'a Splits,
        resolved: Resolved,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let runner = Runner::new(&without_average(config), splits, resolved, device)?;
        Trial::of(config, splits, Fitted { runner, resolved, note: None })
    }

    /// As [`Trial::new`]; a batch that does not fit into the device's memory is taken in parts.
    ///
    /// # Errors
    /// As [`Trial::new`].
    pub(super) fn fitted(config: &'a TrainConfig, splits: &'a Splits, device: &Device) -> Result<Self, TrainError> {
        let fitted = fitted(&mut without_average(config), splits, device)?;
        Trial::of(config, splits, fitted)
    }

    fn of(config: &'a TrainConfig, splits: &'a Splits, fitted: Fitted) -> Result<Self, TrainError> {
        let Fitted { mut runner, resolved, note } = fitted;
        let (mut header, _) = start(config, splits, resolved)?;
        let mut notes: Vec<String> = init::other_attributes(config)?.into_iter().chain(note).collect();
        notes.extend(runner.initialise(config, &mut header, &splits.train)?);
        let sums = StepSums::new(resolved);
        Ok(Trial { config, splits, resolved, normalization: header.normalization, runner, sums, notes })
    }

    /// Its steps, and how many images each takes.
    pub(super) fn resolved(&self) -> Resolved {
        self.resolved
    }

    /// What the device's user is at.
    pub(super) fn activity(&self) -> &Activity {
        self.runner.session.device().activity()
    }

    /// What a person should know of how it begins.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How many parameters are trained, and of how many.
    pub(super) fn parameters(&self) -> &str {
        &self.runner.parameters
    }

    /// Runs step `step` at the rate `lr`. Its loss is read before the next step begins: the last step may be
    /// the one that diverges, and there are few.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn step(&mut self, step: u64, lr: f64) -> Result<StepMetrics, TrainError> {
        let Resolved { parts, steps_per_epoch, .. } = self.resolved;
        let (epoch, size, train) = (step / steps_per_epoch, self.resolved.part(), &self.splits.train);
        let batches = Batches::new(train, size, &self.normalization)?
            .sampled(self.config.sampler, self.config.seed, epoch)
            .augmented(&self.config.augmentations()?)?;
        let update = self.runner.attached.inputs(step, lr);
        for run in step * parts.. {
            let batch = batches.pack((run - epoch * steps_per_epoch * parts) as usize)?;
            self.runner.run_part(run, &batch, &update)?;
            let history = self.runner.read_metrics()?.wait()?;
            if let Some(metrics) = self.sums.add(run, history.f32()) {
                self.runner.run_update(&update)?;
                return Ok(metrics);
            }
        }
        unreachable!("a step has a last part")
    }
}

/// Losses of steps are of the weights themselves.
fn without_average(config: &TrainConfig) -> TrainConfig {
    TrainConfig { average: None, run: None, ..config.clone() }
}
