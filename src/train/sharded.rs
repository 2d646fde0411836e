//! The steps of an epoch whose batches are cut into shards: each member runs its own, and all take the same sums.

use super::shards::{OfStep, Shards, Weight};
use super::{Reporter, TrainError, Trainer};
use crate::activity::Stage;
use crate::data::{Ahead, Batches};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

impl Trainer {
    /// The steps up to `epoch_end`, of the images that come `ahead`: those of this member's shards of `batches`.
    pub(super) fn sharded_steps_of(
        &mut self,
        reporter: &mut dyn Reporter,
        ahead: &mut Ahead,
        batches: &Batches<'_>,
        epoch: u64,
        epoch_end: u64,
        begin: Instant,
    ) -> Result<(), TrainError> {
        let steps = self.resolved.steps_per_epoch;
        let first = self.header.progress.step;
        let activity = self.runner.session.device().activity().clone();
        let submitting = activity.enter(Stage::Training, epoch_end - epoch * steps);
        submitting.reach(first - epoch * steps);
        let mut shards = Shards::new(&self.runner)?;
        shards.exposed = self.exchanging;
        for step in first..epoch_end {
            let (done, known) = (step + 1, self.header.progress.step);
            let pauses = self.sharded_step(&mut shards, ahead, batches, epoch, step)?;
            let every = self.header.config.checkpoint_every;
            let is_stopped = pauses && done < epoch_end;
            let is_due = is_stopped || every > 0 && done % every == 0 && done < epoch_end;
            submitting.reach(done - epoch * steps);
            if is_due {
                self.save_midway(is_stopped)?;
            }
            if is_stopped {
                return Err(self.paused(done));
            }
            self.tell(reporter, epoch, first..known, begin);
        }
        Ok(())
    }

    /// One step; says whether a member wants to pause after it.
    fn sharded_step(
        &mut self,
        shards: &mut Shards,
        ahead: &mut Ahead,
        batches: &Batches<'_>,
        epoch: u64,
        step: u64,
    ) -> Result<bool, TrainError> {
        let device = self.runner.session.device().clone();
        let parts = self.resolved.parts as usize;
        let runs = self.resolved.runs(step);
        let present = (runs.end - runs.start) as usize;
        let weights = self.weights_of_shards(batches, epoch, runs.clone());
        let group = Arc::clone(&self.group);
        let of_step = OfStep { first: runs.start, parts, weights: &weights };
        let mut rows = shards.step(&mut self.runner, &*group, of_step, || Ok(ahead.next(|| device.is_idle())?))?;
        self.exchanging = shards.exposed;
        let update = self.runner.attached.inputs(step, self.learning_rate.rate(step));
        self.runner.run_update(&update)?;

        rows.push(f32::from(u8::from(self.pauses())));
        let mut pauses = false;
        let mut told = Vec::with_capacity(present);
        for rows in self.group.all_gather(bytemuck::cast_slice(&rows))? {
            let rows: Vec<f32> = bytemuck::pod_collect_to_vec(&rows);
            let (rows, flag) = rows.as_chunks::<3>();
            told.extend_from_slice(rows);
            pauses |= flag.first().is_some_and(|&flag| flag > 0.0);
        }
        self.collect_rows(runs.zip(told), epoch)?;
        Ok(pauses)
    }

    /// How much each shard counts, on every member alike.
    fn weights_of_shards(&self, batches: &Batches<'_>, epoch: u64, runs: Range<u64>) -> Vec<Weight> {
        let before = epoch * self.resolved.steps_per_epoch * self.resolved.parts;
        let (mut images, mut counts) = (Vec::new(), Vec::new());
        for run in runs {
            let indices = batches.indices((run - before) as usize);
            images.push(indices.len() as f64);
            counts.push(match &self.runner.class_weights {
                None => indices.len() as f64,
                Some(weights) => {
                    let label = |&index: &u32| self.splits.train.labels[index as usize];
                    indices.iter().map(|index| f64::from(weights[label(index) as usize])).sum()
                }
            });
        }
        Weight::of_shards(&images, &counts)
    }

    /// Whether the run pauses here: all members do where one wants to.
    pub(super) fn agree_to_pause(&self) -> Result<bool, TrainError> {
        let wishes = self.group.all_gather(&[u8::from(self.pauses())])?;
        Ok(wishes.iter().any(|wish| wish.first().is_some_and(|&wish| wish > 0)))
    }
}
