//! The training loop.

#[cfg(feature = "image")]
use super::Examples;
use super::graphs::HISTORY;
use super::init::{self, preprocessing};
use super::run_folder::{EpochRow, StepRow};
use super::runner::Runner;
use super::saving::Saved;
use super::start::{check, expect_kernels, read_data, start};
use super::step_metrics::StepSums;
use super::{Evaluation, Reporter, Resolved, RunFolder, TrainError, averaged};
use crate::activity::Stage;
use crate::checkpoint::{Header, load_checkpoint};
use crate::data::{Batches, Dataset, Preprocessing, Splits, View};
use crate::optim::schedule::{LearningRate, Schedule};
use crate::recipe::{RunRecord, TrainConfig};
use crate::session::{Device, Pending};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// Of the last epoch. Where the data have validation images, of the best checkpoint, measured once, when the run is
    /// at its end.
    pub test: Option<Evaluation>,
    /// Of the last epoch, on the images that decide which checkpoint is the best, where they are not the test images.
    pub validation: Option<Evaluation>,
    /// Of the best checkpoint, on the images that decide, from 0 to 1.
    pub best_accuracy: f64,
    /// The epoch that has it, counted from 1; 0 where none is done.
    pub best_epoch: u64,
    /// Over the images of the last epoch's steps, from 0 to 1.
    pub train_accuracy: f64,
    /// Steps of the run that changed nothing, since gradients were not finite. None in f32, where there are none.
    pub skipped_steps: Option<u64>,
    /// Over the steps of this call, without its tests.
    pub images_per_second: f64,
    /// Of this call, with its tests.
    pub seconds: f64,
    /// The run folder.
    pub run: PathBuf,
}

/// A run, from its data to its last checkpoint.
///
/// ```
/// use tilewright::recipe::TrainConfig;
/// use tilewright::session::Device;
/// use tilewright::train::{Silent, Trainer};
///
/// let mut recipe = TrainConfig::for_model("lenet5")?;
/// recipe.data = "synthetic:1x28x28:2:20".parse()?;
/// (recipe.epochs, recipe.batch) = (1, 10);
/// let folder = tempfile::tempdir()?;
/// let run = folder.path().join("run");
/// let outcome = Trainer::create(recipe, &Device::reference(), Some(&run))?.run(&mut Silent)?;
/// assert_eq!(outcome.best_epoch, 1);
/// assert!(run.join("checkpoint.safetensors").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Trainer {
    splits: Arc<Splits>,
    resolved: Resolved,
    pub(super) runner: Runner,
    pub(super) learning_rate: LearningRate,
    pub(super) header: Header,
    pub(super) folder: RunFolder,
    sums: StepSums,
    stop: Arc<AtomicBool>,
    /// The step that it is trained to at present.
    last_step: u64,
    pub(super) saved: Saved,
    /// What a person should know before the first step.
    pub(super) notes: Vec<String>,
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
    pub fn create(config: TrainConfig, device: &Device, path: Option<&Path>) -> Result<Trainer, TrainError> {
        let splits = Arc::new(read_data(&config, device.activity())?);
        Ok(Trainer::create_on(Arc::clone(&splits), config, device, path)?.with_notes(&splits.notes))
    }

    /// As [`Trainer::create`], on images that are in memory. Their size and channels are those that the model is built
    /// for.
    ///
    /// # Errors
    /// As [`Trainer::create`].
    pub fn on(
        splits: impl Into<Arc<Splits>>,
        config: TrainConfig,
        device: &Device,
        path: Option<&Path>,
    ) -> Result<Trainer, TrainError> {
        config.validate()?;
        let splits = splits.into();
        check(&config, &splits.train)?;
        Trainer::create_on(splits, config, device, path)
    }

    /// As [`Trainer::create`], on data that have been read.
    pub(super) fn create_on(
        splits: Arc<Splits>,
        mut config: TrainConfig,
        device: &Device,
        path: Option<&Path>,
    ) -> Result<Trainer, TrainError> {
        let table = expect_kernels(device, config.tuned.as_deref())?;
        // That of a run whose configuration serves as a recipe.
        config.run = None;
        let resolved = Resolved::of_data(&config, &splits.train)?;
        // What the weights of `init` say is kept, for a resume without them.
        if config.init.is_some() {
            let Preprocessing { resize, interpolation } = preprocessing(&config)?;
            (config.resize, config.crop_share, config.interpolation) = (resize, None, Some(interpolation));
        }
        let mut runner = Runner::new(&config, &splits, resolved, device)?;
        let (mut header, learning_rate) = start(&config, &splits, resolved)?;
        let notes = runner.initialise(&config, &mut header)?;
        let record = RunRecord::of(&splits, device.name());
        header.config.run = Some(RunRecord { class_weights: runner.class_weights.clone(), ..record });
        let folder = RunFolder::create(path, &header.config, table.as_ref())?;
        let mut trainer = Trainer::new(splits, resolved, runner, header, learning_rate, folder);
        #[cfg(feature = "image")]
        trainer.show_augmentation(device)?;
        trainer.notes.extend(init::other_attributes(&config)?);
        trainer.notes.extend(notes);
        Ok(trainer)
    }

    /// Writes a picture of what the run makes of its first images, where it changes them at random.
    #[cfg(feature = "image")]
    fn show_augmentation(&self, device: &Device) -> Result<(), TrainError> {
        let Trainer { header, splits, folder, .. } = self;
        match header.config.augmentations()?.is_empty() {
            true => Ok(()),
            false => {
                let path = folder.path().join("augment.png");
                Examples::default()
                    .write(&header.config, &splits.train, &header.normalization, device, &path)
                    .map(|_| ())
            }
        }
    }

    pub(super) fn new(
        splits: Arc<Splits>,
        resolved: Resolved,
        runner: Runner,
        header: Header,
        learning_rate: LearningRate,
        folder: RunFolder,
    ) -> Trainer {
        let sums = StepSums::new(resolved);
        let mut notes = schedule_notes(learning_rate.schedule(), resolved.total_steps);
        notes.extend(resolved.note(&header.config));
        notes.extend(averaged::note(&header.config));
        notes.extend(weights_note(&header, runner.class_weights.as_deref()));
        Trainer {
            splits,
            resolved,
            runner,
            learning_rate,
            header,
            folder,
            sums,
            stop: Arc::default(),
            last_step: resolved.total_steps,
            saved: Saved::default(),
            notes,
        }
    }

    /// With what a person should know before all else.
    pub(super) fn with_notes(mut self, notes: &[String]) -> Trainer {
        self.notes.splice(0..0, notes.iter().cloned());
        self
    }

    /// The run folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.header.classes
    }

    /// Name of the device.
    pub fn engine_name(&self) -> String {
        self.runner.session.device().name()
    }

    /// Epochs that are done.
    pub fn epochs(&self) -> u64 {
        self.header.progress.step / self.resolved.steps_per_epoch.max(1)
    }

    /// Accuracy, from 0 to 1, and loss on the images that decide, after the last epoch that is done.
    pub fn last_decided(&self) -> Option<(f64, f64)> {
        let progress = &self.header.progress;
        (self.epochs() > 0).then_some((progress.test_accuracy, progress.test_loss))
    }

    /// Once `stop` is true, [`Trainer::run`] writes a checkpoint after the step that runs, and ends with
    /// [`TrainError::Stopped`].
    pub fn stop_on(&mut self, stop: Arc<AtomicBool>) {
        self.stop = stop;
    }

    /// A line on what is trained on what, and where.
    pub fn describe(&self) -> String {
        let config = &self.header.config;
        let memory = self.runner.memory();
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
            "{}, {}, on {} ({} training images{batches}{validation}, {} test images) with \
             {}{memory}; run folder {}{progress}",
            config.model,
            self.runner.parameters,
            self.splits.train.name,
            self.splits.train.len(),
            self.splits.test.len(),
            self.engine_name(),
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
        self.last_step = last_step;
        self.notes.drain(..).for_each(|note| reporter.note(&note));
        let first_step = self.header.progress.step;
        let mut train_accuracy = 0.0;
        let mut training_seconds = 0.0;
        let mut decided = None;
        while self.header.progress.step < last_step {
            let row = self.epoch(reporter, &mut decided)?;
            train_accuracy = row.train_accuracy;
            training_seconds += row.seconds;
            reporter.end_epoch(&row);
            let steps = self.header.progress.step;
            if self.stop.load(Ordering::Relaxed) && steps < last_step {
                return Err(TrainError::Stopped { run: self.folder.path().to_owned(), steps });
            }
        }
        let images = self.resolved.images(first_step.min(last_step)..last_step) as f64;
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
            best_epoch: self.header.progress.best_step / self.resolved.steps_per_epoch.max(1),
            train_accuracy,
            skipped_steps: self.runner.scaling()?.map(|scaling| scaling.skipped_steps),
            images_per_second: images / f64::max(training_seconds, 1e-9),
            seconds: begin.elapsed().as_secs_f64(),
            run: self.folder.path().to_owned(),
        })
    }

    fn evaluate(&mut self, dataset: &Dataset) -> Result<Evaluation, TrainError> {
        self.runner.evaluator.evaluate(dataset, &self.header.normalization, &[View::default()])
    }

    /// What the best checkpoint is worth on the test images. It takes the place of the last parameters on the device:
    /// the run is at its end.
    fn test_best(&mut self, reporter: &mut dyn Reporter) -> Result<Evaluation, TrainError> {
        let path = RunFolder::best(self.folder.path());
        match path.is_file() {
            true => self.runner.evaluator.restore(&load_checkpoint(&path)?, &path)?,
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

        self.runner.settle(&splits.train, &self.header, self.resolved)?;
        let measured = self.evaluate(splits.deciding())?;
        if !measured.loss.is_finite() {
            let part = if splits.validation.is_some() { "validation" } else { "test" };
            return Err(self.diverged(format!("the {part} loss of epoch {} is {}", epoch + 1, measured.loss)));
        }
        let test = &*decided.insert(measured);
        let [on_test, on_validation] =
            [splits.validation.is_none(), splits.validation.is_some()].map(|is_measured| is_measured.then_some(test));
        let scaling = self.runner.scaling()?;
        let progress = &mut self.header.progress;
        let images = progress.images.max(1.0);
        let row = EpochRow {
            epoch: epoch + 1,
            train_loss: progress.loss_sum / images,
            train_accuracy: progress.correct / images,
            test_loss: on_test.map(|test| test.loss),
            test_accuracy: on_test.map(|test| test.top1),
            images_per_second: self.resolved.images(first..epoch_end) as f64 / seconds.max(1e-9),
            seconds,
            validation_loss: on_validation.map(|validation| validation.loss),
            validation_accuracy: on_validation.map(|validation| validation.top1),
            skipped_steps: scaling.map(|scaling| scaling.skipped_steps),
            loss_scale: scaling.map(|scaling| scaling.loss_scale),
        };
        if self.learning_rate.needs_metric() && self.learning_rate.observe(test.loss) {
            let rate = self.learning_rate.rate(epoch_end);
            reporter.note(&format!("the learning rate falls to {rate:e} (seed {seed}, epoch {})", epoch + 1));
        }
        let is_best = test.top1 >= progress.best_accuracy;
        if is_best {
            (progress.best_accuracy, progress.best_step) = (test.top1, epoch_end);
        }
        (progress.test_accuracy, progress.test_loss) = (test.top1, test.loss);
        (progress.loss_sum, progress.correct, progress.images) = (0.0, 0.0, 0.0);
        self.save_epoch(&row, is_best)?;
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
        let resolved = self.resolved;
        let Resolved { parts, steps_per_epoch: steps, .. } = resolved;
        let part_size = self.resolved.part();
        let batches = Batches::new(train, part_size, &self.header.normalization)?
            .sampled(config.sampler, config.seed, epoch)
            .augmented(&config.augmentations()?)?;
        let first = self.header.progress.step;
        let activity = self.runner.session.device().activity().clone();
        let submitting = activity.enter(Stage::Training, steps);
        submitting.reach(first - epoch * steps);
        let mut queued: Option<Queued> = None;
        let mut unread = first * parts;
        for step in first..epoch_end {
            let done = step + 1;
            let is_stopped = self.stop.load(Ordering::Relaxed) && done < epoch_end;
            let is_due =
                is_stopped || config.checkpoint_every > 0 && done % config.checkpoint_every == 0 && done < epoch_end;
            let update_inputs = self.runner.attached.inputs(step, self.learning_rate.rate(step));
            let known = self.header.progress.step;
            let all_runs = resolved.runs(step);
            for run in all_runs.clone() {
                let batch = batches.pack((run - epoch * steps * parts) as usize);
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
                return Err(TrainError::Stopped { run: self.folder.path().to_owned(), steps: done });
            }
            if self.header.progress.step > known {
                let progress = &self.header.progress;
                let rate = resolved.images(first..progress.step) as f64 / begin.elapsed().as_secs_f64();
                let images = progress.images.max(1.0);
                let (loss, accuracy) = (progress.loss_sum / images, progress.correct / images);
                let left = resolved.images(progress.step..self.last_step.max(progress.step)) as f64 / rate;
                reporter.expect(Duration::try_from_secs_f64(left).unwrap_or_default());
                reporter.advance(progress.step - epoch * steps, loss, accuracy, rate);
            }
        }
        Ok(())
    }

    /// Takes the metrics of some runs into the run's tables and sums.
    fn collect(&mut self, queued: Queued, epoch: u64) -> Result<(), TrainError> {
        let history = queued.pending.wait()?;
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
                return Err(self.diverged(format!("the loss of step {step} is {loss}")));
            }
            self.judge_saved(step, loss)?;
        }
        self.folder.write_steps(&rows)
    }
}

/// Classes whose weights are told.
const MOST_WEIGHTS: usize = 12;

/// How often each class counts, where they do not count alike.
fn weights_note(header: &Header, weights: Option<&[f32]>) -> Option<String> {
    let (asked, weights) = (header.config.class_weights.as_ref()?, weights?);
    let told = header.classes.iter().zip(weights).map(|(class, weight)| format!("{class} {weight:.4}"));
    let more = (weights.len() > MOST_WEIGHTS).then(|| format!("and {} more", weights.len() - MOST_WEIGHTS));
    let told: Vec<String> = told.take(MOST_WEIGHTS).chain(more).collect();
    Some(format!("the loss weighs each class (`{asked}`): {}", told.join(", ")))
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
