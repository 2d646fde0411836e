//! The shards of a step on one member: each begins with the same parameters and running statistics, and leaves its part of
//! the sums that all members then share.

use super::TrainError;
use super::graphs::statistics_of;
#[cfg(blocking)]
use super::runner::Runner;
#[cfg(blocking)]
use super::step_metrics::row_of;
#[cfg(blocking)]
use crate::data::PackedBatch;
use crate::graph::Graph;
use crate::optim::Bucket;
#[cfg(blocking)]
use crate::parallel::{Collective, Tree, block, sum_of_shards};
#[cfg(blocking)]
use crate::session::Pending;
#[cfg(blocking)]
use crate::tensor::HostTensor;
use std::ops::Range;
#[cfg(blocking)]
use std::time::{Duration, Instant};

/// Numbers of shards that are added up together: those of a bucket of gradients, and with the first, running statistics.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    /// Outputs of a shard's graph that have them, one after another.
    pub outputs: Vec<String>,
    /// How many numbers there are.
    pub elements: usize,
    /// Of the gradients, which come first.
    gradients: usize,
    /// What the sums are for, and which of them.
    tensors: Vec<(String, Range<usize>)>,
}

impl Sums {
    /// In the order in which the graph of a shard has them.
    pub(super) fn of_shard(graph: &Graph, buckets: Vec<Bucket>) -> Vec<Sums> {
        let mut all: Vec<Sums> = buckets.into_iter().map(Sums::of_bucket).collect();
        if all.is_empty() {
            all.push(Sums { outputs: Vec::new(), elements: 0, gradients: 0, tensors: Vec::new() });
        }
        for (name, value) in statistics_of(graph) {
            let first = all[0].elements;
            all[0].elements += graph.shape(value).elements();
            let end = all[0].elements;
            all[0].outputs.push(name.clone());
            all[0].tensors.push((name, first..end));
        }
        all
    }

    fn of_bucket(bucket: Bucket) -> Sums {
        let Bucket { output, elements, members } = bucket;
        Sums { outputs: vec![output], elements, gradients: elements, tensors: members }
    }

    /// Running statistics, by name.
    #[cfg(blocking)]
    fn statistics(&self) -> impl Iterator<Item = &(String, Range<usize>)> {
        self.tensors.iter().filter(|(_, range)| range.start >= self.gradients)
    }
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

/// What is kept from shard to shard.
#[cfg(blocking)]
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
#[cfg(blocking)]
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
#[cfg(blocking)]
pub(super) struct Running {
    run: u64,
    shard: usize,
    weight: Weight,
    given: std::vec::IntoIter<Pending>,
}

#[cfg(blocking)]
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
        let OfStep { first, parts, weights } = of_step;
        let own = block(parts, group.rank(), group.world());
        let all = runner.sums.clone();
        let (mut trees, mut rows) = (vec![Tree::default(); all.len()], Vec::new());
        let mut take_in = |running: &mut Running, sums: &Sums, tree: &mut Tree| -> Result<(), TrainError> {
            let (values, row) = running.next(sums)?;
            tree.push_shard(running.shard, values);
            rows.extend(row.into_iter().flatten());
            Ok(())
        };
        let mut last: Option<Running> = None;
        for (shard, &weight) in weights.iter().enumerate().filter(|(shard, _)| own.contains(shard)) {
            let running = self.start(runner, first, shard, &next()?, weight)?;
            // What the shard before leaves is taken in while this one runs.
            if let Some(mut before) = last.replace(running) {
                all.iter().zip(&mut trees).try_for_each(|(sums, tree)| take_in(&mut before, sums, tree))?;
            }
        }
        for (sums, mut tree) in all.iter().zip(trees) {
            if let Some(running) = &mut last {
                take_in(running, sums, &mut tree)?;
            }
            let begin = Instant::now();
            let values = sum_of_shards(group, tree, [parts, weights.len()], sums.elements)?;
            let took = begin.elapsed();
            self.exchanging += took;
            self.exposed += if runner.session.device().is_idle() { took } else { Duration::ZERO };
            self.take(runner, sums, &values)?;
        }
        Ok(rows)
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
        Ok(Running { run, shard, weight, given: runner.run_shard(run, batch)?.into_iter() })
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

#[cfg(blocking)]
impl Running {
    /// Its part of the next sums, when it is there, and with the first its loss, correct rows and rows.
    fn next(&mut self, sums: &Sums) -> Result<(Vec<f32>, Option<[f32; 3]>), TrainError> {
        let Some(HostTensor::F32(mut values)) = self.given.next().map(Pending::wait).transpose()? else {
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
        assert_eq!(Weight::of_shards(&[3.0, 1.0], &[0.0; 2])[0], Weight { gradients: 0.75, statistics: 0.75 });
    }
}
