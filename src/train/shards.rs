//! The shards of a step on one member: each begins with the same parameters and running statistics, and leaves its part of
//! the sums that all members then share.

use super::TrainError;
use super::runner::Runner;
use super::step_metrics::row_of;
use super::sums::Sums;
use crate::data::PackedBatch;
use crate::parallel::{Collective, Tree, block, sum_of_shards};
use crate::session::Pending;
use crate::tensor::HostTensor;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How much a shard counts in the sums of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weight {
    /// Of its gradients.
    pub gradients: f32,
    /// Of its running statistics.
    pub statistics: f32,
    /// Its images.
    pub images: f64,
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
            Weight { gradients, statistics, images: *images }
        };
        images.iter().zip(counts).map(weight).collect()
    }

    /// Of gradients that have their share already, by the loss that they are of.
    pub(super) fn of_shared_loss(self) -> Weight {
        Weight { gradients: 1.0, ..self }
    }
}

/// What is kept from shard to shard.
pub(super) struct Shards {
    /// The running statistics that a step begins with.
    held: Vec<(String, Vec<f32>)>,
    /// Whether a shard of this step has put its own statistics in their place.
    is_spent: bool,
    /// For how long sums were exchanged while the device had nothing to do.
    pub exposed: Duration,
    /// For how long they were exchanged at all.
    pub exchanging: Duration,
}

/// The shards of a step, on all members.
#[derive(Clone, Copy)]
pub(super) struct OfStep<'a> {
    /// The run of the first shard.
    pub first: u64,
    /// How many shards a step has, of which a short one lacks the last.
    pub parts: usize,
    /// How much each shard counts that there is.
    pub weights: &'a [Weight],
}

/// A shard that runs.
pub(super) struct Running {
    run: u64,
    shard: usize,
    weight: Weight,
    /// What it leaves for the sums, on its way.
    pub given: VecDeque<Pending>,
}

impl Shards {
    /// # Errors
    /// When the device fails.
    pub(super) fn new(runner: &Runner) -> Result<Shards, TrainError> {
        let names: Vec<&str> = runner.sums.iter().flat_map(Sums::statistics).map(|(name, _)| name.as_str()).collect();
        let held = runner.session.get_all(&names)?;
        Ok(Shards {
            held: names.into_iter().map(str::to_owned).zip(held).collect(),
            is_spent: false,
            exposed: Duration::ZERO,
            exchanging: Duration::ZERO,
        })
    }

    /// Runs this member's shards of a step, on batches of `next`, and puts the sums of all where the update finds them; gives
    /// loss, correct rows and rows of each shard that it ran, in their order.
    ///
    /// Sums are exchanged as soon as the last shard has left its part, while the device computes the next.
    ///
    /// # Errors
    /// When the device or another member fails.
    pub(super) fn step(
        &mut self,
        runner: &mut Runner,
        group: &dyn Collective,
        of_step: OfStep<'_>,
        mut next: impl FnMut() -> Result<PackedBatch, TrainError>,
    ) -> Result<Vec<f32>, TrainError> {
        if !runner.points.is_empty() {
            return self.synchronised_step(runner, group, of_step, next);
        }
        let OfStep { first, parts, weights } = of_step;
        let own = block(parts, group.rank(), group.world());
        let all = runner.sums.clone();
        let (mut trees, mut rows) = (vec![Tree::default(); all.len()], Vec::new());
        let mut last: Option<Running> = None;
        for (shard, &weight) in weights.iter().enumerate().filter(|(shard, _)| own.contains(shard)) {
            let running = self.start(runner, first, shard, &next()?, weight)?;
            // What the shard before leaves is taken in while this one runs.
            if let Some(mut before) = last.replace(running) {
                all.iter().zip(&mut trees).try_for_each(|(sums, tree)| before.leave(sums, tree, &mut rows))?;
            }
        }
        for (sums, mut tree) in all.iter().zip(trees) {
            if let Some(running) = &mut last {
                running.leave(sums, &mut tree, &mut rows)?;
            }
            self.exchange(runner, group, sums, tree, [parts, weights.len()])?;
        }
        Ok(rows)
    }

    /// Gets sums over the shards of all members, of which this one's are in the tree, and puts them where the update finds them.
    pub(super) fn exchange(
        &mut self,
        runner: &Runner,
        group: &dyn Collective,
        sums: &Sums,
        tree: Tree,
        shards: [usize; 2],
    ) -> Result<(), TrainError> {
        let values = self.timed(runner, || Ok(sum_of_shards(group, tree, shards, sums.elements)?))?;
        self.take(runner, sums, &values)
    }

    /// What an exchange gives, whose time counts.
    pub(super) fn timed<T>(
        &mut self,
        runner: &Runner,
        exchange: impl FnOnce() -> Result<T, TrainError>,
    ) -> Result<T, TrainError> {
        let begin = Instant::now();
        let given = exchange()?;
        let took = begin.elapsed();
        self.exchanging += took;
        self.exposed += if runner.session.device().is_idle() { took } else { Duration::ZERO };
        Ok(given)
    }

    /// Lets a shard begin.
    fn start(
        &mut self,
        runner: &mut Runner,
        first: u64,
        shard: usize,
        batch: &PackedBatch,
        weight: Weight,
    ) -> Result<Running, TrainError> {
        let run = first + shard as u64;
        if std::mem::replace(&mut self.is_spent, true) {
            for (name, values) in &self.held {
                runner.session.set(name, values)?;
            }
        }
        Ok(Running { run, shard, weight, given: runner.run_shard(run, batch)?.into() })
    }

    /// Puts the values of sums where the update and the next step find them.
    fn take(&mut self, runner: &Runner, sums: &Sums, values: &[f32]) -> Result<(), TrainError> {
        for (name, range) in &sums.tensors {
            runner.session.set(name, &values[range.clone()])?;
        }
        for ((_, range), (_, held)) in sums.statistics().zip(&mut self.held) {
            held.copy_from_slice(&values[range.clone()]);
        }
        self.is_spent = false;
        Ok(())
    }
}

impl Running {
    /// A shard that is to begin, the `first` of whose step has that run.
    pub(super) fn new(first: u64, shard: usize, weight: Weight) -> Running {
        Running { run: first + shard as u64, shard, weight, given: VecDeque::new() }
    }

    /// Adds its part of the next sums to their tree, when it is there, and with the first its loss, correct rows and rows to
    /// `rows`.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn leave(&mut self, sums: &Sums, tree: &mut Tree, rows: &mut Vec<f32>) -> Result<(), TrainError> {
        let (values, row) = self.next(sums)?;
        tree.push_shard(self.shard, values);
        rows.extend(row.into_iter().flatten());
        Ok(())
    }

    fn next(&mut self, sums: &Sums) -> Result<(Vec<f32>, Option<[f32; 3]>), TrainError> {
        let Some(HostTensor::F32(mut values)) = self.given.pop_front().map(Pending::wait).transpose()? else {
            return Ok((vec![0.0; sums.elements], None));
        };
        let row = (values.len() > sums.elements).then(|| row_of(self.run, &values[sums.elements..]));
        values.truncate(sums.elements);
        let (gradients, statistics) = values.split_at_mut(sums.gradients);
        gradients.iter_mut().for_each(|value| *value *= self.weight.gradients);
        statistics.iter_mut().for_each(|value| *value *= self.weight.statistics);
        Ok((values, row))
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
        assert_eq!(
            Weight::of_shards(&[3.0, 1.0], &[0.0; 2])[0],
            Weight { gradients: 0.75, statistics: 0.75, images: 3.0 }
        );
    }
}
