//! The steps of an epoch: batches go up, metrics come back while the next steps run.

use super::graphs::HISTORY;
use super::run_folder::StepRow;
use super::step_metrics::row_of;
use super::{Reporter, Resolved, TrainError, Trainer, notes};
use crate::activity::Stage;
use crate::data::{Ahead, Batches, Dataset};
use crate::parallel::block;
use crate::session::Pending;
use crate::setting::Setting;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Metrics of runs on their way to the host.
struct Queued {
    pending: Pending,
    /// First run, and number of runs, counted as `step * parts + part`.
    first: u64,
    count: u64,
}

impl Trainer {
    /// Whether the run pauses after the step or epoch that runs.
    pub(super) fn pauses(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Why it pauses, after so many steps.
    pub(super) fn paused(&self, steps: u64) -> TrainError {
        let run = self.folder.path().to_owned();
        match self.stop.load(Ordering::Relaxed) {
            true => TrainError::Stopped { run, steps },
            false => TrainError::TimeOver { run, steps },
        }
    }

    /// The steps up to `epoch_end`.
    pub(super) fn steps(
        &mut self,
        reporter: &mut dyn Reporter,
        train: &Dataset,
        epoch: u64,
        epoch_end: u64,
        begin: Instant,
    ) -> Result<(), TrainError> {
        let config = self.header.config.clone();
        let resolved = self.resolved;
        let Resolved { parts, steps_per_epoch: steps, .. } = resolved;
        let part_size = self.resolved.part();
        let batches = Batches::new(train, part_size, &self.header.normalization)?
            .sampled(config.sampler, config.seed, epoch)
            .augmented(&config.augmentations()?)?;
        let first = self.header.progress.step;
        let before = epoch * steps * parts;
        let own = block(parts as usize, self.group.rank(), self.group.world());
        let runs = (first..epoch_end).flat_map(|step| resolved.runs(step));
        let runs = runs.filter(|run| own.contains(&((run % parts) as usize)));
        batches.ahead(runs.map(|run| (run - before) as usize), |ahead| {
            let trained = match config.shard_count() {
                1 => self.steps_of(reporter, ahead, epoch, epoch_end, begin),
                _ => self.sharded_steps_of(reporter, ahead, &batches, epoch, epoch_end, begin),
            };
            self.idle = ahead.idle();
            trained
        })
    }

    /// The steps up to `epoch_end`, of the images that come `ahead`.
    fn steps_of(
        &mut self,
        reporter: &mut dyn Reporter,
        ahead: &mut Ahead,
        epoch: u64,
        epoch_end: u64,
        begin: Instant,
    ) -> Result<(), TrainError> {
        let config = self.header.config.clone();
        let resolved = self.resolved;
        let Resolved { parts, steps_per_epoch: steps, .. } = resolved;
        let first = self.header.progress.step;
        let device = self.runner.session.device().clone();
        let activity = device.activity().clone();
        let submitting = activity.enter(Stage::Training, epoch_end - epoch * steps);
        submitting.reach(first - epoch * steps);
        let mut queued: Option<Queued> = None;
        let mut unread = first * parts;
        for step in first..epoch_end {
            let done = step + 1;
            let is_stopped = self.pauses() && done < epoch_end;
            let is_due =
                is_stopped || config.checkpoint_every > 0 && done % config.checkpoint_every == 0 && done < epoch_end;
            let update_inputs = self.runner.attached.inputs(step, self.learning_rate.rate(step));
            let known = self.header.progress.step;
            let all_runs = resolved.runs(step);
            for run in all_runs.clone() {
                let batch = ahead.next(|| device.is_idle())?;
                self.runner.run_part(run, &batch, &update_inputs)?;

                let runs = run + 1;
                let is_last = runs == all_runs.end && (done == epoch_end || is_due);
                if runs % HISTORY as u64 == 0 || is_last {
                    let new = Queued { pending: self.runner.read_metrics()?, first: unread, count: runs - unread };
                    unread = runs;
                    // The runs before are read while these run.
                    if let Some(old) = queued.replace(new) {
                        self.collect(old, epoch)?;
                    }
                    if is_last && let Some(last) = queued.take() {
                        self.collect(last, epoch)?;
                    }
                }
            }
            self.runner.run_update(&update_inputs)?;
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

    /// Tells news, and how far the run is where it is further than the end of `known`, which began with the steps.
    pub(super) fn tell(&mut self, reporter: &mut dyn Reporter, epoch: u64, known: Range<u64>, begin: Instant) {
        self.notes.drain(..).for_each(|note| reporter.note(&note));
        let (resolved, progress) = (self.resolved, &self.header.progress);
        if progress.step > known.end {
            let rate = resolved.images(known.start..progress.step) as f64 / begin.elapsed().as_secs_f64();
            let images = progress.images.max(1.0);
            let (loss, accuracy) = (progress.loss_sum / images, progress.correct / images);
            let left = resolved.images(progress.step..self.last_step.max(progress.step)) as f64 / rate;
            reporter.expect(Duration::try_from_secs_f64(left).unwrap_or_default());
            reporter.advance(progress.step - epoch * resolved.steps_per_epoch, loss, accuracy, rate);
        }
    }

    /// Takes the metrics of some runs into the run's tables and sums.
    fn collect(&mut self, queued: Queued, epoch: u64) -> Result<(), TrainError> {
        let history = queued.pending.wait()?;
        let rows = (queued.first..queued.first + queued.count).map(|run| (run, row_of(run, history.f32())));
        self.collect_rows(rows, epoch)
    }

    /// Takes the rows of runs, in their order, into the run's tables and sums.
    pub(super) fn collect_rows(
        &mut self,
        runs: impl Iterator<Item = (u64, [f32; 3])>,
        epoch: u64,
    ) -> Result<(), TrainError> {
        let mut rows = Vec::new();
        for (run, row) in runs {
            let Some(metrics) = self.sums.add_row(run, row) else { continue };
            let (step, loss) = (metrics.step, metrics.loss());
            let lr = self.learning_rate.rate(step);
            rows.push(StepRow { step, epoch: epoch + 1, lr, loss, accuracy: metrics.accuracy() });
            let progress = &mut self.header.progress;
            progress.step = step + 1;
            if loss.is_finite() {
                progress.loss_sum += metrics.loss_sum;
                progress.correct += metrics.correct;
                progress.images += metrics.images;
                self.judge_saved(step, loss)?;
            } else if self.header.config.skip_nonfinite == 0 {
                self.folder.write_steps(&rows)?;
                return Err(self.diverged(format!("the loss of step {step} is {loss}")));
            }
            if step == 0 {
                let classes = self.header.classes.len();
                self.notes.extend(notes::first_loss(&self.header.config, classes, self.runner.heads, loss));
            }
        }
        self.folder.write_steps(&rows)?;
        self.refuse_more_skips()
    }

    /// Ends the run once it has skipped more steps than it may; waits for the device where their number counts.
    fn refuse_more_skips(&mut self) -> Result<(), TrainError> {
        let most = self.header.config.skip_nonfinite;
        if most == 0 {
            return Ok(());
        }
        match self.runner.skips()?.map_or(0, |skips| skips.steps) {
            skipped if skipped > most => {
                let allowed = Setting("skip_nonfinite").to(most);
                let what = format!("the gradients of {skipped} steps were not finite, more than {allowed} skips");
                Err(self.diverged(what))
            }
            _ => Ok(()),
        }
    }
}
