//! The training loop.

use super::checkpoint::Header;
use super::graphs::HISTORY;
use super::run_folder::{EpochRow, StepRow};
use super::runner::Runner;
use super::start::{expect_kernels, read_data, start};
use super::step_metrics::StepSums;
use super::{
    Checkpoint, Evaluation, Reporter, Resolved, RunFolder, TrainConfig, TrainError, load_checkpoint, save_checkpoint,
};
use crate::activity::Stage;
use crate::data::{Batches, Dataset, Splits, View};
use crate::engine::{Engine, Executable, Pending};
use crate::optim::schedule::{LearningRate, Schedule};
use crate::tensor::HostTensor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Of the last epoch. Where the data have validation images, of the best checkpoint, measured once, when the run is
    /// at its end.
    pub test: Option<Evaluation>,
    /// Of the last epoch, on the images that decide which checkpoint is the best, where they are not the test images.
    pub validation: Option<Evaluation>,
    /// Of the best checkpoint, on the images that decide, from 0 to 1.
    pub best_accuracy: f64,
    pub train_accuracy: f64,
    pub images_per_second: f64,
    pub seconds: f64,
    pub run: PathBuf,
}

/// A run, from its data to its last checkpoint.
pub struct Trainer {
    splits: Arc<Splits>,
    resolved: Resolved,
    runner: Runner,
    learning_rate: LearningRate,
    header: Header,
    folder: RunFolder,
    sums: StepSums,
    stop: Arc<AtomicBool>,
    /// What a person should know before the first step.
    notes: Vec<String>,
}

/// Metrics of runs on their way to the host.
struct Queued {
    pending: Pending,
    /// First run, and number of runs, counted as `step * parts + part`.
    first: u64,
    count: u64,
}

impl Trainer {
    /// Reads the data, builds the graphs and makes the run folder (`path`, or one under `runs/`).
    ///
    /// # Errors
    /// When settings, data, model and device do not go together.
    pub fn create(config: TrainConfig, engine: Engine, path: Option<&Path>) -> Result<Trainer, TrainError> {
        let splits = Arc::new(read_data(&config, engine.activity())?);
        Ok(Trainer::create_on(Arc::clone(&splits), config, engine, path)?.with_notes(&splits.notes))
    }

    /// As [`Trainer::create`], on data that have been read.
    pub(super) fn create_on(
        splits: Arc<Splits>,
        config: TrainConfig,
        engine: Engine,
        path: Option<&Path>,
    ) -> Result<Trainer, TrainError> {
        let table = expect_kernels(&engine, config.tuned.as_deref())?;
        let resolved = Resolved::of(&config, splits.train.len())?;
        let mut runner = Runner::new(&config, &splits, resolved, engine)?;
        let (mut header, learning_rate) = start(&config, &splits, resolved)?;
        runner.initialise(&config, &mut header)?;
        let folder = RunFolder::create(path, &config)?;
        table.map_or(Ok(()), |table| folder.keep_tuned(&table))?;
        Ok(Trainer::new(splits, resolved, runner, header, learning_rate, folder))
    }

    /// Goes on with the run in `path` from its last checkpoint, or from the start if it has none.
    /// With `epochs`, up to so many; a schedule that ended with the run then ends with the longer one.
    ///
    /// # Errors
    /// When it is no run, its checkpoint is damaged, or `engine` has other kernels than the run began with.
    pub fn resume(path: &Path, engine: Engine, epochs: Option<u64>) -> Result<Trainer, TrainError> {
        let before = RunFolder::config(path)?;
        let config = TrainConfig { epochs: epochs.unwrap_or(before.epochs), ..before.clone() };
        let splits = Arc::new(read_data(&config, engine.activity())?);
        Ok(Trainer::resume_on(Arc::clone(&splits), path, engine, before, config)?.with_notes(&splits.notes))
    }

    /// As [`Trainer::resume`], on data that have been read, with the configuration the run had `before` and the one
    /// it goes on with.
    pub(super) fn resume_on(
        splits: Arc<Splits>,
        path: &Path,
        engine: Engine,
        before: TrainConfig,
        config: TrainConfig,
    ) -> Result<Trainer, TrainError> {
        let table = config.tuned.as_ref().map(|_| RunFolder::tuned(path));
        expect_kernels(&engine, table.as_deref())?;
        let resolved = Resolved::of(&config, splits.train.len())?;
        let schedule = before.schedule_of(Resolved::of(&before, splits.train.len())?)?;
        let mut runner = Runner::new(&config, &splits, resolved, engine)?;
        let (mut header, mut learning_rate) = start(&config, &splits, resolved)?;
        let file = RunFolder::checkpoint(path);
        if file.is_file() {
            let checkpoint = load_checkpoint(&file)?;
            for (name, shape) in &runner.saved {
                runner.engine.set_state(name, &HostTensor::F32(checkpoint.tensor(&file, name, shape)?))?;
            }
            header.progress = checkpoint.header.progress;
            header.normalization = checkpoint.header.normalization;
            let earlier = serde_json::from_value(checkpoint.header.learning_rate)
                .map_err(|reason| TrainError::NotACheckpoint { path: file, reason: reason.to_string() })?;
            learning_rate.go_on_from(earlier);
        } else {
            runner.initialise(&config, &mut header)?;
        }
        let done = header.progress.step;
        let folder = RunFolder::resume(path, &config, done, done / resolved.steps_per_epoch.max(1))?;
        let mut trainer = Trainer::new(splits, resolved, runner, header, learning_rate, folder);
        if *trainer.learning_rate.schedule() != schedule {
            let steps = resolved.total_steps;
            trainer.notes.push(format!("the schedule `{schedule}` ended with the run, and now ends at step {steps}"));
        }
        Ok(trainer)
    }

    fn new(
        splits: Arc<Splits>,
        resolved: Resolved,
        runner: Runner,
        header: Header,
        learning_rate: LearningRate,
        folder: RunFolder,
    ) -> Trainer {
        let sums = StepSums::new(resolved.parts);
        let notes = schedule_notes(learning_rate.schedule(), resolved.total_steps);
        Trainer { splits, resolved, runner, learning_rate, header, folder, sums, stop: Arc::default(), notes }
    }

    /// With what a person should know before all else.
    fn with_notes(mut self, notes: &[String]) -> Trainer {
        self.notes.splice(0..0, notes.iter().cloned());
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.header.classes
    }

    pub fn engine_name(&self) -> String {
        self.runner.engine.name()
    }

    /// Epochs that are done.
    pub fn epochs(&self) -> u64 {
        self.header.progress.step / self.resolved.steps_per_epoch.max(1)
    }

    /// Once `stop` is true, [`Trainer::run`] writes a checkpoint after the step that runs, and ends with
    /// [`TrainError::Stopped`].
    pub fn stop_on(&mut self, stop: Arc<AtomicBool>) {
        self.stop = stop;
    }

    /// A line on what is trained on what, and where.
    pub fn describe(&self) -> String {
        let config = &self.header.config;
        let Runner { engine, program, update, .. } = &self.runner;
        let memory = program.memory().map(|memory| format!(", device memory {memory}")).unwrap_or_default();
        let update = update.as_ref().and_then(Executable::memory);
        let update = update.map(|memory| format!("; update {memory}")).unwrap_or_default();
        let Resolved { batch, parts, total_steps, .. } = self.resolved;
        let batches = match parts {
            // A batch holds at most the images there are.
            1 if batch == config.batch => String::new(),
            1 => format!(" in batches of {batch}"),
            _ => format!(" in batches of {batch} that are taken in {parts} parts"),
        };
        let validation = self.splits.validation.as_ref();
        let validation = validation.map_or(String::new(), |images| format!(", {} validation images", images.len()));
        let progress = match self.header.progress.step {
            0 => String::new(),
            done => format!(", {done} of {total_steps} steps done"),
        };
        format!(
            "{}, {} parameters, on {} ({} training images{batches}{validation}, {} test images) with \
             {}{memory}{update}; run folder {}{progress}",
            config.model,
            self.runner.parameter_count,
            self.splits.train.name,
            self.splits.train.len(),
            self.splits.test.len(),
            engine.name(),
            self.folder.path().display()
        )
    }

    /// Trains to the end, with a checkpoint after each epoch.
    ///
    /// # Errors
    /// When the device fails, a file cannot be written, the loss is no longer a number, or the run is
    /// [asked to stop](Trainer::stop_on).
    pub fn run(&mut self, reporter: &mut dyn Reporter) -> Result<Outcome, TrainError> {
        self.run_to(self.header.config.epochs, reporter)
    }

    /// Trains until so many epochs are done, or all that the run has. Its schedule is that of all of them: a run that
    /// goes on from here, at once or [resumed](Trainer::resume), ends as one that never paused.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub fn run_to(&mut self, epochs: u64, reporter: &mut dyn Reporter) -> Result<Outcome, TrainError> {
        let begin = Instant::now();
        let last_step = self.resolved.steps_per_epoch.saturating_mul(epochs).min(self.resolved.total_steps);
        self.notes.drain(..).for_each(|note| reporter.note(&note));
        let first_step = self.header.progress.step;
        let mut train_accuracy = 0.0;
        let mut training_seconds = 0.0;
        let mut decided = None;
        while self.header.progress.step < last_step {
            let row = self.epoch(reporter, &mut decided)?;
            train_accuracy = row.train_accuracy;
            training_seconds += row.seconds;
            self.folder.write_epoch(&row, self.header.progress.step - 1)?;
            reporter.end_epoch(&row);
            let steps = self.header.progress.step;
            if self.stop.load(Ordering::Relaxed) && steps < last_step {
                return Err(TrainError::Stopped { run: self.folder.path().to_owned(), steps });
            }
        }
        let images = last_step.saturating_sub(first_step) as f64 * self.resolved.batch as f64;
        let decided = match decided {
            Some(decided) => decided,
            None => self.evaluate(self.splits.clone().deciding())?,
        };
        let (test, validation) = match &self.splits.validation {
            None => (Some(decided), None),
            Some(_) if last_step == self.resolved.total_steps => (Some(self.test_best(reporter)?), Some(decided)),
            Some(_) => (None, Some(decided)),
        };
        Ok(Outcome {
            test,
            validation,
            best_accuracy: self.header.progress.best_accuracy,
            train_accuracy,
            images_per_second: images / f64::max(training_seconds, 1e-9),
            seconds: begin.elapsed().as_secs_f64(),
            run: self.folder.path().to_owned(),
        })
    }

    fn evaluate(&mut self, dataset: &Dataset) -> Result<Evaluation, TrainError> {
        let Runner { engine, evaluator, .. } = &mut self.runner;
        evaluator.evaluate(engine, dataset, &self.header.normalization, &[View::default()])
    }

    /// What the best checkpoint is worth on the test images. It takes the place of the last parameters on the device:
    /// the run is at its end.
    fn test_best(&mut self, reporter: &mut dyn Reporter) -> Result<Evaluation, TrainError> {
        let path = RunFolder::best(self.folder.path());
        match path.is_file() {
            true => {
                let Runner { engine, evaluator, .. } = &mut self.runner;
                evaluator.restore(engine, &load_checkpoint(&path)?, &path)?;
            }
            false => reporter.note(&format!("`{}` is missing: the last checkpoint is tested instead", path.display())),
        }
        let splits = Arc::clone(&self.splits);
        self.evaluate(&splits.test)
    }

    /// The rest of the current epoch, its test and its checkpoint.
    fn epoch(&mut self, reporter: &mut dyn Reporter, decided: &mut Option<Evaluation>) -> Result<EpochRow, TrainError> {
        let steps = self.resolved.steps_per_epoch;
        let seed = self.header.config.seed;
        let epoch = self.header.progress.step / steps;
        let epoch_end = (epoch + 1) * steps;
        let begin = Instant::now();
        let first = self.header.progress.step;
        let title = format!("epoch {}/{}", epoch + 1, self.header.config.epochs);
        reporter.begin(&title, first - epoch * steps, steps);

        let splits = Arc::clone(&self.splits);
        self.steps(reporter, &splits.train, epoch, epoch_end, begin)?;
        let seconds = begin.elapsed().as_secs_f64();

        let test = &*decided.insert(self.evaluate(splits.deciding())?);
        let [on_test, on_validation] =
            [splits.validation.is_none(), splits.validation.is_some()].map(|is_measured| is_measured.then_some(test));
        let progress = &mut self.header.progress;
        let images = progress.images.max(1.0);
        let row = EpochRow {
            epoch: epoch + 1,
            train_loss: progress.loss_sum / images,
            train_accuracy: progress.correct / images,
            test_loss: on_test.map(|test| test.loss),
            test_accuracy: on_test.map(|test| test.top1),
            images_per_second: ((epoch_end - first) * self.resolved.batch as u64) as f64 / seconds.max(1e-9),
            seconds,
            validation_loss: on_validation.map(|validation| validation.loss),
            validation_accuracy: on_validation.map(|validation| validation.top1),
        };
        if self.learning_rate.needs_metric() && self.learning_rate.observe(test.loss) {
            let rate = self.learning_rate.rate(epoch_end);
            reporter.note(&format!("the learning rate falls to {rate:e} (seed {seed}, epoch {})", epoch + 1));
        }
        let is_best = test.top1 >= progress.best_accuracy;
        progress.best_accuracy = progress.best_accuracy.max(test.top1);
        (progress.test_accuracy, progress.test_loss) = (test.top1, test.loss);
        (progress.loss_sum, progress.correct, progress.images) = (0.0, 0.0, 0.0);
        self.save(is_best)?;
        Ok(row)
    }

    /// The steps up to `epoch_end`.
    fn steps(
        &mut self,
        reporter: &mut dyn Reporter,
        train: &Dataset,
        epoch: u64,
        epoch_end: u64,
        begin: Instant,
    ) -> Result<(), TrainError> {
        let config = self.header.config.clone();
        let Resolved { batch, parts, steps_per_epoch: steps, .. } = self.resolved;
        let part_size = self.resolved.part();
        let batches = Batches::new(train, part_size, &self.header.normalization)?
            .shuffled(config.seed, epoch)
            .augmented(config.augmentation());
        let first = self.header.progress.step;
        let submitting = self.runner.engine.activity().enter(Stage::Training, steps);
        submitting.reach(first - epoch * steps);
        let mut queued: Option<Queued> = None;
        let mut unread = first * parts;
        let mut images = vec![0.0; part_size * train.image_len()];
        let mut labels = vec![0; part_size];
        for step in first..epoch_end {
            let done = step + 1;
            let is_stopped = self.stop.load(Ordering::Relaxed) && done < epoch_end;
            let is_due =
                is_stopped || config.checkpoint_every > 0 && done % config.checkpoint_every == 0 && done < epoch_end;
            let update_inputs = self.runner.attached.inputs(step, self.learning_rate.rate(step));
            let known = self.header.progress.step;
            for run in step * parts..done * parts {
                batches.fill((run - epoch * steps * parts) as usize, &mut images, &mut labels);
                self.runner.run_part(run, &images, &labels, &update_inputs)?;

                let runs = run + 1;
                let is_last = runs == done * parts && (done == epoch_end || is_due);
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
                self.save(false)?;
            }
            if is_stopped {
                return Err(TrainError::Stopped { run: self.folder.path().to_owned(), steps: done });
            }
            if self.header.progress.step > known {
                let progress = &self.header.progress;
                let known = progress.step - first;
                let rate = (known * batch as u64) as f64 / begin.elapsed().as_secs_f64();
                let images = progress.images.max(1.0);
                let (loss, accuracy) = (progress.loss_sum / images, progress.correct / images);
                reporter.advance(progress.step - epoch * steps, loss, accuracy, rate);
            }
        }
        Ok(())
    }

    /// Takes the metrics of some runs into the run's tables and sums.
    fn collect(&mut self, queued: Queued, epoch: u64) -> Result<(), TrainError> {
        let history = self.runner.engine.finish(queued.pending)?;
        let mut rows = Vec::with_capacity(queued.count as usize);
        for run in queued.first..queued.first + queued.count {
            let Some(metrics) = self.sums.add(run, history.f32()) else { continue };
            let progress = &mut self.header.progress;
            progress.loss_sum += metrics.loss_sum;
            progress.correct += metrics.correct;
            progress.images += metrics.images;
            progress.step = metrics.step + 1;
            let (step, loss) = (metrics.step, metrics.loss());
            let lr = self.learning_rate.rate(step);
            rows.push(StepRow { step, epoch: epoch + 1, lr, loss, accuracy: metrics.accuracy() });
            if !loss.is_finite() {
                self.folder.write_steps(&rows)?;
                return Err(TrainError::Diverged { step, loss });
            }
        }
        self.folder.write_steps(&rows)
    }

    /// Writes the checkpoint, and a second one when it is the best so far.
    fn save(&mut self, is_best: bool) -> Result<(), TrainError> {
        let _saving = self.runner.engine.activity().enter(Stage::Saving, 0);
        self.header.learning_rate = serde_json::to_value(&self.learning_rate).unwrap_or_default();
        let mut checkpoint = Checkpoint { header: self.header.clone(), tensors: Default::default() };
        for (name, shape) in &self.runner.saved {
            let data = self.runner.engine.state(name)?.f32().to_vec();
            checkpoint.tensors.insert(name.clone(), (shape.clone(), data));
        }
        save_checkpoint(&RunFolder::checkpoint(self.folder.path()), &checkpoint)?;
        if is_best {
            save_checkpoint(&RunFolder::best(self.folder.path()), &checkpoint)?;
        }
        Ok(())
    }
}

/// What a person may not expect of a schedule in a run of so many steps.
fn schedule_notes(schedule: &Schedule, total: u64) -> Vec<String> {
    let turn = schedule.turn().filter(|&turn| turn < total).map(|turn| {
        format!(
            "the schedule `{schedule}` is periodic: the learning rate rises again from step {turn} of {total}; without \
             T_max it ends with the run"
        )
    });
    let warmup = Some(schedule.warmup()).filter(|&warmup| warmup >= total).map(|warmup| {
        format!("the run of {total} steps ends within the {warmup} steps of warm-up of the schedule `{schedule}`")
    });
    turn.into_iter().chain(warmup).collect()
}
