//! How many steps a run has, and how many images each takes.

use super::TrainError;
use super::graphs::{Batch, part_graphs, training_graph};
use crate::data::Dataset;
use crate::optim::schedule::{Schedule, ScheduleError};
use crate::recipe::TrainConfig;
use crate::setting::{BadSetting, Setting};
use std::ops::Range;

/// Steps of a run at most: at a millisecond each, more than a month.
const MOST_STEPS: u64 = 1 << 32;

/// A configuration with the numbers that come from the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The batch, at most the number of training images.
    pub batch: usize,
    /// Runs that a step is made of, each of `batch / parts` images: parts of a batch, or shards.
    pub parts: u64,
    /// Images of the last step of each epoch where they are fewer than a batch, else 0.
    pub rest: usize,
    /// Images at the end of each epoch's order that no step takes.
    pub left_out: usize,
    /// Updates in an epoch.
    pub steps_per_epoch: u64,
    /// Updates in the run.
    pub total_steps: u64,
}

impl Resolved {
    /// # Errors
    /// When the batch cannot be taken in equal parts of the size that was asked for.
    pub fn of(config: &TrainConfig, training_images: usize) -> Result<Resolved, TrainError> {
        let batch = config.batch.min(training_images);
        let part = match config.shard_count() {
            1 => config.micro_batch.unwrap_or(batch).min(batch),
            shards => shard(config, batch, shards)?,
        };
        if !batch.is_multiple_of(part) {
            let rule = format!("a divisor of the batch of {batch} images");
            return Err(BadSetting::new("micro_batch", part.to_string(), rule).into());
        }
        let parts = (batch / part.max(1)).max(1) as u64;
        let after = training_images % batch.max(1);
        let (rest, left_out) = if config.drop_last { (0, after) } else { (after, 0) };
        let steps_per_epoch = (training_images / batch.max(1)) as u64 + u64::from(rest > 0);
        let total_steps = total_steps(config, steps_per_epoch);
        if total_steps > MOST_STEPS {
            let most = MOST_STEPS / steps_per_epoch.max(1);
            let rule = format!("at most {most} with {steps_per_epoch} steps per epoch: more would take years");
            return Err(BadSetting::new("epochs", config.epochs.to_string(), rule).into());
        }
        Ok(Resolved { batch, parts, rest, left_out, steps_per_epoch, total_steps })
    }

    /// As [`Resolved::of`], for these images. A last run of one image is left out where the model cannot train on one:
    /// batch norm has no variance there.
    ///
    /// # Errors
    /// As [`Resolved::of`].
    pub fn of_data(config: &TrainConfig, train: &Dataset) -> Result<Resolved, TrainError> {
        let resolved = Resolved::of(config, train.len())?;
        if resolved.short_run() != Some(1) || resolved.part() == 1 {
            return Ok(resolved);
        }
        let [channels, height, width] = config.trained_shape(train);
        let batch = Batch { shape: [1, channels, height, width], classes: train.classes.len() };
        let is_possible = match resolved.parts {
            1 => training_graph(config, batch).is_ok(),
            _ => part_graphs(config, batch).is_ok(),
        };
        match is_possible {
            true => Ok(resolved),
            false => Ok(resolved.without_last_image(config)),
        }
    }

    /// The schedule of a run of these steps.
    ///
    /// # Errors
    /// When a length in epochs is more steps than can be counted.
    pub fn schedule(&self, config: &TrainConfig) -> Result<Schedule, ScheduleError> {
        config.schedule_of(self.steps_per_epoch, self.total_steps)
    }

    fn without_last_image(self, config: &TrainConfig) -> Resolved {
        let rest = self.rest - 1;
        let steps_per_epoch = self.steps_per_epoch - u64::from(rest == 0);
        let total_steps = total_steps(config, steps_per_epoch);
        Resolved { rest, left_out: self.left_out + 1, steps_per_epoch, total_steps, ..self }
    }

    /// Epochs that are done after so many steps. The last one of the run may be a part of one.
    pub fn epochs(&self, steps: u64) -> u64 {
        let steps_per_epoch = self.steps_per_epoch.max(1);
        if steps >= self.total_steps { steps.div_ceil(steps_per_epoch) } else { steps / steps_per_epoch }
    }

    /// A line on the images that no step takes.
    pub(super) fn note(&self, config: &TrainConfig) -> Option<String> {
        let why = match config.drop_last {
            true => "they do not fill a batch, and with drop_last no step takes such",
            false => "batch norm cannot train on one value per channel",
        };
        (self.left_out > 0).then(|| format!("the last {} of each epoch's images are left out: {why}", self.left_out))
    }

    /// Images of a run.
    pub fn part(&self) -> usize {
        self.batch / self.parts as usize
    }

    /// Images of an epoch's last run, where they are fewer than those of the others.
    pub fn short_run(&self) -> Option<usize> {
        Some(self.rest % self.part().max(1)).filter(|&images| images > 0)
    }

    /// The runs of step `step`, counted over all steps as if each had all its parts.
    pub fn runs(&self, step: u64) -> Range<u64> {
        let parts = match self.is_last(step) && self.rest > 0 {
            true => self.rest.div_ceil(self.part()) as u64,
            false => self.parts,
        };
        step * self.parts..step * self.parts + parts
    }

    /// How many images these steps take.
    pub fn images(&self, steps: Range<u64>) -> u64 {
        let short =
            if self.rest > 0 { steps.end / self.steps_per_epoch - steps.start / self.steps_per_epoch } else { 0 };
        (steps.end - steps.start) * self.batch as u64 - short * (self.batch - self.rest) as u64
    }

    fn is_last(&self, step: u64) -> bool {
        (step + 1).is_multiple_of(self.steps_per_epoch)
    }
}

/// Images of a shard.
///
/// # Errors
/// When the batch cannot be cut so.
fn shard(config: &TrainConfig, batch: usize, shards: usize) -> Result<usize, TrainError> {
    if let Some(part) = config.micro_batch {
        let rule = format!("left out with {}: the shards are the parts that a batch is taken in", Setting("shards"));
        return Err(BadSetting::new("micro_batch", part, rule).into());
    }
    match batch.is_multiple_of(shards) && batch > 0 {
        true => Ok(batch / shards),
        false => Err(BadSetting::new("shards", shards, format!("a divisor of the batch of {batch} images")).into()),
    }
}

fn total_steps(config: &TrainConfig, steps_per_epoch: u64) -> u64 {
    let most = config.max_steps.map_or(u64::MAX, |most| most.of(steps_per_epoch));
    steps_per_epoch.saturating_mul(config.epochs).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_may_end_within_an_epoch() {
        let config = |most: &str, epochs| {
            let max_steps = Some(most.parse().unwrap());
            let config = TrainConfig { batch: 4, epochs, max_steps, drop_last: true, ..TrainConfig::default() };
            Resolved::of(&config, 40).unwrap()
        };
        let part = config("2.5epochs", 3);
        assert_eq!((part.total_steps, part.epochs(10), part.epochs(24), part.epochs(25)), (25, 1, 2, 3));
        assert_eq!((config("2.5epochs", 2).total_steps, config("7", 2).total_steps), (20, 7));
    }

    fn of(images: usize, batch: usize, micro_batch: Option<usize>, drop_last: bool) -> Resolved {
        Resolved::of(&TrainConfig { batch, micro_batch, drop_last, epochs: 2, ..TrainConfig::default() }, images)
            .unwrap()
    }

    #[test]
    fn the_last_step_of_an_epoch_takes_the_images_that_are_left() {
        let resolved = of(10, 4, None, false);
        assert_eq!((resolved.steps_per_epoch, resolved.total_steps, resolved.short_run()), (3, 6, Some(2)));
        assert_eq!((resolved.runs(1), resolved.runs(2), resolved.runs(3)), (1..2, 2..3, 3..4));
        assert_eq!(
            (resolved.images(0..3), resolved.images(2..3), resolved.images(0..6), resolved.images(3..5)),
            (10, 2, 20, 8)
        );
        let dropped = of(10, 4, None, true);
        assert_eq!(
            (dropped.steps_per_epoch, dropped.left_out, dropped.short_run(), dropped.images(0..4)),
            (2, 2, None, 16)
        );
        let even = of(8, 4, None, false);
        assert_eq!((even.steps_per_epoch, even.left_out, even.short_run(), even.images(0..2)), (2, 0, None, 8));
        assert_eq!(of(3, 4, None, false).steps_per_epoch, 1);
    }

    #[test]
    fn the_last_step_has_no_more_parts_than_its_images_need() {
        let resolved = of(23, 8, Some(2), false);
        assert_eq!((resolved.parts, resolved.rest, resolved.short_run()), (4, 7, Some(1)));
        assert_eq!((resolved.runs(1), resolved.runs(2), resolved.runs(3)), (4..8, 8..12, 12..16));
        let whole = of(20, 8, Some(2), false);
        assert_eq!((whole.rest, whole.short_run(), whole.runs(2)), (4, None, 8..10));
    }

    #[test]
    fn without_its_last_image_an_epoch_may_lose_a_step() {
        let config = TrainConfig { epochs: 2, ..TrainConfig::default() };
        let one = of(9, 4, None, false).without_last_image(&config);
        assert_eq!((one.steps_per_epoch, one.total_steps, one.left_out, one.short_run()), (2, 4, 1, None));
        let part = of(23, 8, Some(2), false).without_last_image(&config);
        assert_eq!(
            (part.steps_per_epoch, part.left_out, part.rest, part.short_run(), part.runs(2)),
            (3, 1, 6, None, 8..11)
        );
    }
}
