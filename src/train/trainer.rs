//! The training loop.

#[cfg(feature = "image")]
use super::Examples;
use super::fitting::{Fitted, fitted};
use super::init::{self, preprocessing};
use super::norms::NormMeter;
use super::notes::{schedule_notes, weights_note};
use super::run_folder::EpochRow;
use super::runner::Runner;
use super::saving::Saved;
use super::start::{check, expect_kernels, read_data, start};
use super::step_metrics::StepSums;
use super::{Evaluation, Filters, Findings, Outcome, Record, Reporter, Resolved, RunFolder, TrainError, averaged};
use crate::checkpoint::{Header, load_checkpoint};
use crate::data::{Dataset, Preprocessing, Splits, View};
use crate::optim::schedule::LearningRate;
use crate::parallel::{Alone, Collective};
use crate::recipe::{RunRecord, TrainConfig};
use crate::session::Device;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

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
    pub(super) splits: Arc<Splits>,
    pub(super) resolved: Resolved,
    pub(super) runner: Runner,
    pub(super) learning_rate: LearningRate,
    pub(super) header: Header,
    pub(super) folder: RunFolder,
    pub(super) sums: StepSums,
    pub(super) stop: Arc<AtomicBool>,
    /// When it pauses.
    pub(super) deadline: Option<Instant>,
    /// The step that it is trained to at present.
    pub(super) last_step: u64,
    pub(super) saved: Saved,
    /// For how long the device waited for images in the last steps.
    pub(super) idle: Duration,
    /// What a person should know, and has not been told.
    pub(super) notes: Vec<String>,
    /// Who it trains with.
    pub(super) group: Arc<dyn Collective>,
    /// Devices of this process that train along.
    pub(super) others: Vec<Device>,
    /// For how long it has waited for the sums of the other members, or given them its own, while its device did nothing.
    pub(super) exchanging: Duration,
    /// Whether members have adapters of several kinds.
    pub(super) adapters_differ: bool,
    /// Measures norms, once it is asked to.
    pub(super) norms: Option<NormMeter>,
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
        // What the weights of `init` say is kept, for a resume without them.
        if config.init.is_some() {
            let Preprocessing { resize, interpolation } = preprocessing(&config)?;
            (config.resize, config.crop_share, config.interpolation) = (resize, None, Some(interpolation));
        }
        let Fitted { mut runner, resolved, note } = fitted(&mut config, &splits, device)?;
        let (mut header, learning_rate) = start(&config, &splits, resolved)?;
        let notes = runner.initialise(&config, &mut header, &splits.train)?;
        let record = RunRecord::of(&splits, device.name());
        header.config.run = Some(RunRecord { class_weights: runner.class_weights.clone(), ..record });
        let folder = RunFolder::create(path, &header.config, table.as_ref())?;
        let mut trainer = Trainer::new(splits, resolved, runner, header, learning_rate, folder);
        #[cfg(feature = "image")]
        trainer.show_augmentation(device)?;
        trainer.notes.extend(init::other_attributes(&config)?);
        trainer.notes.extend(notes.into_iter().chain(note));
        Ok(trainer)
    }

    /// Writes a picture of what the run makes of its first images, where it changes them at random and has none yet.
    #[cfg(feature = "image")]
    pub(super) fn show_augmentation(&self, device: &Device) -> Result<(), TrainError> {
        let Trainer { header, splits, folder, .. } = self;
        let path = folder.path().join("augment.png");
        match header.config.augmentations()?.is_empty() || path.exists() {
            true => Ok(()),
            false => Examples::default()
                .write(&header.config, &splits.train, &header.normalization, device, &path)
                .map(|_| ()),
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
        notes.extend(averaged::note(&header.config, resolved));
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
            deadline: None,
            last_step: resolved.total_steps,
            saved: Saved::default(),
            idle: Duration::ZERO,
            notes,
            group: Arc::new(Alone),
            others: Vec::new(),
            exchanging: Duration::ZERO,
            adapters_differ: false,
            norms: None,
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
        self.resolved.epochs(self.header.progress.step)
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

    /// Once it is so late, [`Trainer::run`] writes a checkpoint after the step that runs, and ends with
    /// [`TrainError::TimeOver`].
    pub fn stop_at(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Whether there is nothing left to train: all epochs are done, or so many without a better one as the run's
    /// `patience` allows.
    pub fn is_over(&self) -> bool {
        self.header.progress.step >= self.resolved.total_steps || self.is_out_of_patience()
    }

    fn is_out_of_patience(&self) -> bool {
        let since = self.epochs().saturating_sub(self.resolved.epochs(self.header.progress.improved_step));
        self.header.config.patience.is_some_and(|patience| since >= patience)
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
            _ if config.shard_count() > 1 => format!(" in batches of {batch} of {parts} shards"),
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
             {}{}{memory}; run folder {}{progress}",
            config.model,
            self.runner.parameters,
            self.splits.train.name,
            self.splits.train.len(),
            self.splits.test.len(),
            self.engine_name(),
            self.with_whom(),
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
        match self.others.is_empty() {
            true => self.run_here(epochs, reporter),
            false => self.run_with_others(epochs, reporter),
        }
    }

    /// What this member does of [`Trainer::run_to`].
    pub(super) fn run_here(&mut self, epochs: u64, reporter: &mut dyn Reporter) -> Result<Outcome, TrainError> {
        let begin = Instant::now();
        let last_step = self.resolved.steps_per_epoch.saturating_mul(epochs).min(self.resolved.total_steps);
        self.last_step = last_step;
        self.exchanging = Duration::ZERO;
        self.expect_adapters()?;
        self.notes.drain(..).for_each(|note| reporter.note(&note));
        let first_step = self.header.progress.step;
        let mut train_accuracy = 0.0;
        let (mut training_seconds, mut waited) = (0.0, 0.0);
        let mut decided = None;
        while self.header.progress.step < last_step && !self.is_out_of_patience() {
            let row = self.epoch(reporter, &mut decided)?;
            train_accuracy = row.train_accuracy;
            training_seconds += row.seconds;
            waited += row.data_wait.unwrap_or_default() * row.seconds;
            reporter.end_epoch(&row);
            let steps = self.header.progress.step;
            if steps < last_step && !self.is_over() && self.agree_to_pause()? {
                return Err(self.paused(steps));
            }
        }
        let steps = self.header.progress.step;
        let stopped_early = steps < self.resolved.total_steps && self.is_out_of_patience();
        if stopped_early {
            reporter.note(&self.early_end());
        }
        let images = self.resolved.images(first_step.min(steps)..steps) as f64;
        let decided = match decided {
            Some(decided) => decided,
            None => self.evaluate(self.splits.clone().deciding())?,
        };
        let (test, validation) = match &self.splits.validation {
            None => (Some(decided), None),
            Some(_) if self.is_over() => (Some(self.test_best(reporter)?), Some(decided)),
            Some(_) => (None, Some(decided)),
        };
        if let (true, Some(test)) = (self.is_over(), &test) {
            self.leave_findings(test)?;
        }
        Ok(Outcome {
            test,
            validation,
            best_accuracy: self.header.progress.best_accuracy,
            best_epoch: self.resolved.epochs(self.header.progress.best_step),
            stopped_early,
            train_accuracy,
            skipped_steps: self.runner.skips()?.map(|skips| skips.steps),
            images_per_second: images / f64::max(training_seconds, 1e-9),
            data_wait: waited / f64::max(training_seconds, 1e-9),
            exchange: self.exchanging.as_secs_f64() / f64::max(training_seconds, 1e-9),
            seconds: begin.elapsed().as_secs_f64(),
            run: self.folder.path().to_owned(),
        })
    }

    /// Writes what the test images have shown, as numbers and as pictures.
    fn leave_findings(&mut self, test: &Evaluation) -> Result<(), TrainError> {
        if !self.leads() {
            return Ok(());
        }
        let splits = Arc::clone(&self.splits);
        let checkpoint = if splits.validation.is_some() { "best" } else { "last" };
        let session = self.runner.evaluator.session().clone();
        let filters = Filters::of(&self.header, |name| Ok(session.get(name)?))?;
        let Header { config, classes, .. } = &self.header;
        let record = Record::new(&config.model, checkpoint, &splits.test.name, classes, test);
        let drawn = Findings { record, images: Some(&splits.test), filters }.write(self.folder.path())?;
        self.folder.draw_png()?;
        self.folder.write_end(self.header.progress.step.saturating_sub(1), &drawn)
    }

    fn early_end(&self) -> String {
        let progress = &self.header.progress;
        let (epoch, best) = (self.resolved.epochs(progress.improved_step), progress.improved_accuracy);
        let by = match self.header.config.min_delta {
            0.0 => String::new(),
            least => format!(" by more than {:.2} points", 100.0 * least),
        };
        let part = if self.splits.validation.is_some() { "validation" } else { "test" };
        let since = self.epochs() - epoch;
        format!(
            "ended early, after epoch {}: none of the last {since} had a {part} accuracy above the {:.2} % of epoch {epoch}{by}",
            self.epochs(),
            100.0 * best
        )
    }

    fn evaluate(&mut self, dataset: &Dataset) -> Result<Evaluation, TrainError> {
        let group = Arc::clone(&self.group);
        self.runner.evaluator.evaluate_in(&*group, dataset, &self.header.normalization, &[View::default()])
    }

    /// What the best checkpoint is worth on the test images. It takes the place of the last parameters on the device:
    /// the run is at its end.
    fn test_best(&mut self, reporter: &mut dyn Reporter) -> Result<Evaluation, TrainError> {
        let path = RunFolder::best(self.folder.path());
        let best = match self.leads() && path.is_file() {
            true => Some(load_checkpoint(&path)?),
            false => None,
        };
        match self.shared(best)? {
            Some(best) => self.runner.evaluator.restore(&best, &path)?,
            None => reporter.note(&format!("`{}` is missing: the last checkpoint is tested instead", path.display())),
        }
        let splits = Arc::clone(&self.splits);
        self.evaluate(&splits.test)
    }

    /// The rest of the current epoch, its test and its checkpoint.
    fn epoch(&mut self, reporter: &mut dyn Reporter, decided: &mut Option<Evaluation>) -> Result<EpochRow, TrainError> {
        let steps = self.resolved.steps_per_epoch;
        let seed = self.header.config.seed;
        let epoch = self.header.progress.step / steps;
        let epoch_end = ((epoch + 1) * steps).min(self.resolved.total_steps);
        let begin = Instant::now();
        let first = self.header.progress.step;
        let title = format!("epoch {}/{}", epoch + 1, self.resolved.epochs(self.resolved.total_steps));
        reporter.begin(&title, first - epoch * steps, epoch_end - epoch * steps);

        let splits = Arc::clone(&self.splits);
        self.steps(reporter, &splits.train, epoch, epoch_end, begin)?;
        let seconds = begin.elapsed().as_secs_f64();

        self.level()?;
        self.runner.settle(&splits.train, &self.header, self.resolved)?;
        let measured = self.evaluate(splits.deciding())?;
        if !measured.loss.is_finite() {
            let part = if splits.validation.is_some() { "validation" } else { "test" };
            return Err(self.diverged(format!("the {part} loss of epoch {} is {}", epoch + 1, measured.loss)));
        }
        let test = &*decided.insert(measured);
        let [on_test, on_validation] =
            [splits.validation.is_none(), splits.validation.is_some()].map(|is_measured| is_measured.then_some(test));
        let skips = self.runner.skips()?;
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
            skipped_steps: skips.map(|skips| skips.steps),
            loss_scale: skips.and_then(|skips| skips.loss_scale),
            data_wait: Some(self.idle.as_secs_f64() / seconds.max(1e-9)),
        };
        if self.learning_rate.needs_metric() && self.learning_rate.observe(test.loss) {
            let rate = self.learning_rate.rate(epoch_end);
            reporter.note(&format!("the learning rate falls to {rate:e} (seed {seed}, epoch {})", epoch + 1));
        }
        let is_best = test.top1 >= progress.best_accuracy;
        if is_best {
            (progress.best_accuracy, progress.best_step) = (test.top1, epoch_end);
        }
        if progress.improved_step == 0 || test.top1 > progress.improved_accuracy + self.header.config.min_delta {
            (progress.improved_accuracy, progress.improved_step) = (test.top1, epoch_end);
        }
        (progress.test_accuracy, progress.test_loss) = (test.top1, test.loss);
        (progress.loss_sum, progress.correct, progress.images) = (0.0, 0.0, 0.0);
        self.save_epoch(&row, is_best)?;
        Ok(row)
    }
}
