//! The shards of a step on one member: each begins with the same parameters and running statistics, and leaves its part of
//! the sums that all members then share.

use super::TrainError;
use super::graphs::HISTORY_TENSOR;
use super::runner::Runner;
use super::step_metrics::row_of;
use crate::data::PackedBatch;

/// What goes to and fro between a device and the sums.
pub(super) struct Shards {
    /// Tensors that a shard leaves: means of gradients, then running statistics.
    names: Vec<String>,
    /// How many of the names are gradients.
    gradients: usize,
    /// The running statistics that a step begins with.
    held: Vec<Vec<f32>>,
    /// Whether a shard of this step has put its own statistics in their place.
    is_spent: bool,
}

/// How much a shard counts in the sums of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weight {
    /// Of its gradients.
    pub gradients: f32,
    /// Of its running statistics.
    pub statistics: f32,
}

impl Weight {
    /// Of the shards of a step: by their images, and for gradients by how often these count.
    pub(super) fn of_shards(images: &[f64], counts: &[f64]) -> Vec<Weight> {
        let all_images: f64 = images.iter().sum();
        let all_counts: f64 = counts.iter().sum();
        let weight = |(images, count): (&f64, &f64)| {
            let statistics = (images / all_images) as f32;
            // Where no image counts, no shard has a gradient.
            let gradients = if all_counts > 0.0 { (count / all_counts) as f32 } else { statistics };
            Weight { gradients, statistics }
        };
        images.iter().zip(counts).map(weight).collect()
    }
}

impl Shards {
    /// # Errors
    /// When the device fails.
    pub(super) fn new(runner: &Runner) -> Result<Shards, TrainError> {
        let [gradients, statistics] = &runner.of_shard;
        let mut names = gradients.clone();
        names.extend_from_slice(statistics);
        let mut shards = Shards { names, gradients: gradients.len(), held: Vec::new(), is_spent: false };
        shards.held = runner.session.get_all(&shards.views()[shards.gradients..])?;
        Ok(shards)
    }

    fn views(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// Runs a shard; gives its part of the sums, and its loss, correct rows and rows.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn run(
        &mut self,
        runner: &mut Runner,
        run: u64,
        batch: &PackedBatch,
        weight: Weight,
    ) -> Result<(Vec<f32>, [f32; 3]), TrainError> {
        if std::mem::replace(&mut self.is_spent, true) {
            self.restore(runner)?;
        }
        runner.run_shard(run, batch)?;
        let mut names = self.views();
        names.push(HISTORY_TENSOR);
        let mut left = runner.session.get_all(&names)?;
        let row = row_of(run, &left.pop().unwrap_or_default());
        let mut values = Vec::with_capacity(left.iter().map(Vec::len).sum());
        for (place, tensor) in left.iter().enumerate() {
            let share = if place < self.gradients { weight.gradients } else { weight.statistics };
            values.extend(tensor.iter().map(|value| share * value));
        }
        Ok((values, row))
    }

    /// How many numbers the sums have.
    pub(super) fn length(&self, runner: &Runner) -> usize {
        self.names.iter().map(|name| runner.elements(name)).sum()
    }

    /// Puts the sums where the update and the next step find them.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn take(&mut self, runner: &Runner, sums: &[f32]) -> Result<(), TrainError> {
        let mut rest = sums;
        for (place, name) in self.names.iter().enumerate() {
            let (own, after) = rest.split_at(runner.elements(name));
            rest = after;
            runner.session.set(name, own)?;
            if let Some(held) = place.checked_sub(self.gradients).and_then(|place| self.held.get_mut(place)) {
                held.copy_from_slice(own);
            }
        }
        self.is_spent = false;
        Ok(())
    }

    fn restore(&self, runner: &Runner) -> Result<(), TrainError> {
        for (name, values) in self.names[self.gradients..].iter().zip(&self.held) {
            runner.session.set(name, values)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_weigh_by_their_images_and_gradients_by_how_often_these_count() {
        let weights = Weight::of_shards(&[4.0, 4.0, 2.0], &[1.0, 2.0, 1.0]);
        assert_eq!(weights.iter().map(|weight| weight.statistics).collect::<Vec<_>>(), [0.4, 0.4, 0.2]);
        assert_eq!(weights.iter().map(|weight| weight.gradients).collect::<Vec<_>>(), [0.25, 0.5, 0.25]);
        assert_eq!(Weight::of_shards(&[3.0, 1.0], &[0.0; 2])[0], Weight { gradients: 0.75, statistics: 0.75 });
    }
}
