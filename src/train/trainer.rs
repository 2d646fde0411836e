//! The training loop.

use super::checkpoint::Header;
use super::graphs::{Batch, HISTORY, IMAGES, LABELS, METRICS, step_numbers, training_graph};
use super::run_folder::{EpochRow, StepRow};
use super::{
    Checkpoint, Evaluation, Evaluator, Reporter, Resolved, RunFolder, TrainConfig, TrainError, load_checkpoint,
    save_checkpoint,
};
use crate::data::{Batches, Dataset, Normalization, Splits};
use crate::engine::{Engine, Executable, Pending};
use crate::graph::{Graph, STEP_NUMBERS};
use crate::models;
use crate::optim::Attached;
use crate::optim::schedule::LearningRate;
use crate::tensor::HostTensor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub test: Evaluation,
    pub train_accuracy: f64,
    pub images_per_second: f64,
    pub seconds: f64,
    pub run: PathBuf,
}

/// A run, from its data to its last checkpoint.
pub struct Trainer {
    engine: Engine,
    splits: Arc<Splits>,
    resolved: Resolved,
    graph: Graph,
    attached: Attached,
    program: Executable,
    evaluator: Evaluator,
    learning_rate: LearningRate,
    header: Header,
    folder: RunFolder,
}

/// Metrics of steps on their way to the host.
struct Queued {
    pending: Pending,
    /// First step, and number of steps.
    first: u64,
    count: u64,
}

impl Trainer {
    /// Reads the data, builds the graphs and makes the run folder (`path`, or one under `runs/`).
    ///
    /// # Errors
    /// When settings, data, model and device do not go together.
    pub fn create(mut config: TrainConfig, engine: Engine, path: Option<&Path>) -> Result<Trainer, TrainError> {
        let (splits, resolved) = prepare_data(&config)?;
        config.schedule = config.schedule_of(resolved.total_steps)?.to_string();
        let parts = Parts::new(&config, &splits, resolved, engine)?;
        let folder = RunFolder::create(path, &config)?;
        let (header, learning_rate) = start(&config, &splits)?;
        Ok(parts.into_trainer(splits, resolved, header, learning_rate, folder))
    }

    /// Goes on with the run in `path` from its last checkpoint, or from the start if it has none.
    /// With `epochs`, up to so many.
    ///
    /// # Errors
    /// When it is no run, or its checkpoint is damaged.
    pub fn resume(path: &Path, engine: Engine, epochs: Option<u64>) -> Result<Trainer, TrainError> {
        let mut config = RunFolder::config(path)?;
        config.epochs = epochs.unwrap_or(config.epochs);
        let (splits, resolved) = prepare_data(&config)?;
        let mut parts = Parts::new(&config, &splits, resolved, engine)?;
        let (mut header, mut learning_rate) = start(&config, &splits)?;
        let file = RunFolder::checkpoint(path);
        if file.is_file() {
            let checkpoint = load_checkpoint(&file)?;
            for value in parts.graph.parameters().chain(parts.graph.buffers()) {
                let tensor = parts.graph.tensor(value);
                if is_saved(&tensor.name) {
                    let held = checkpoint.tensor(&file, &tensor.name, &tensor.spec.shape)?;
                    parts.engine.set_state(&tensor.name, &held)?;
                }
            }
            header.progress = checkpoint.header.progress;
            learning_rate = serde_json::from_value(checkpoint.header.learning_rate)
                .map_err(|reason| TrainError::NotACheckpoint { path: file, reason: reason.to_string() })?;
        }
        let done = header.progress.step;
        let folder = RunFolder::resume(path, done, done / resolved.steps_per_epoch.max(1))?;
        Ok(parts.into_trainer(splits, resolved, header, learning_rate, folder))
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn engine_name(&self) -> String {
        self.engine.name()
    }

    /// A line on what is trained on what, and where.
    pub fn describe(&self) -> String {
        let config = &self.header.config;
        let memory = self.program.memory().map(|memory| format!(", device memory {memory}")).unwrap_or_default();
        format!(
            "{}, {} parameters, on {} ({} training images, {} test images) with {}{memory}; run folder {}",
            config.model,
            self.graph.parameter_count(),
            self.splits.train.name,
            self.splits.train.len(),
            self.splits.test.len(),
            self.engine.name(),
            self.folder.path().display()
        )
    }

    /// Trains to the end, with a checkpoint after each epoch.
    ///
    /// # Errors
    /// When the device fails, a file cannot be written, or the loss is no longer a number.
    pub fn run(&mut self, reporter: &mut dyn Reporter) -> Result<Outcome, TrainError> {
        let begin = Instant::now();
        let first_step = self.header.progress.step;
        let mut train_accuracy = 0.0;
        let mut training_seconds = 0.0;
        let mut test = Evaluation {
            loss: self.header.progress.test_loss,
            top1: self.header.progress.test_accuracy,
            ..Evaluation::default()
        };
        while self.header.progress.step < self.resolved.total_steps {
            let row = self.epoch(reporter, &mut test)?;
            train_accuracy = row.train_accuracy;
            training_seconds += row.seconds;
            self.folder.write_epoch(&row)?;
            reporter.end_epoch(&row);
        }
        let images = (self.resolved.total_steps - first_step) as f64 * self.resolved.batch as f64;
        Ok(Outcome {
            test,
            train_accuracy,
            images_per_second: images / f64::max(training_seconds, 1e-9),
            seconds: begin.elapsed().as_secs_f64(),
            run: self.folder.path().to_owned(),
        })
    }

    /// The rest of the current epoch, its test and its checkpoint.
    fn epoch(&mut self, reporter: &mut dyn Reporter, test: &mut Evaluation) -> Result<EpochRow, TrainError> {
        let steps = self.resolved.steps_per_epoch;
        let seed = self.header.config.seed;
        let epoch = self.header.progress.step / steps;
        let epoch_end = (epoch + 1) * steps;
        let begin = Instant::now();
        let first = self.header.progress.step;
        reporter.begin_epoch(epoch + 1, self.header.config.epochs, first - epoch * steps, steps);

        let splits = Arc::clone(&self.splits);
        self.steps(reporter, &splits.train, epoch, epoch_end, begin)?;
        let seconds = begin.elapsed().as_secs_f64();

        *test = self.evaluator.evaluate(&mut self.engine, &self.splits.test, &self.header.normalization)?;
        let progress = &mut self.header.progress;
        let images = progress.images.max(1.0);
        let row = EpochRow {
            epoch: epoch + 1,
            train_loss: progress.loss_sum / images,
            train_accuracy: progress.correct / images,
            test_loss: test.loss,
            test_accuracy: test.top1,
            images_per_second: ((epoch_end - first) * self.resolved.batch as u64) as f64 / seconds.max(1e-9),
            seconds,
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
        let steps = self.resolved.steps_per_epoch;
        let batches = Batches::new(train, self.resolved.batch, &self.header.normalization)?
            .shuffled(config.seed, epoch)
            .augmented(config.augmentation());
        let first = self.header.progress.step;
        let mut queued: Option<Queued> = None;
        let mut unread = first;
        let mut images = vec![0.0; self.resolved.batch * train.image_len()];
        let mut labels = vec![0; self.resolved.batch];
        for step in first..epoch_end {
            batches.fill((step - epoch * steps) as usize, &mut images, &mut labels);
            self.program.write(IMAGES, HostTensor::F32(images.clone()))?;
            self.program.write(LABELS, HostTensor::U32(labels.clone()))?;
            self.program.write(STEP_NUMBERS, HostTensor::U32(step_numbers(config.seed, step)))?;
            for (name, values) in self.attached.inputs(step, self.learning_rate.rate(step)) {
                self.program.write(name, HostTensor::F32(values))?;
            }
            self.engine.run(&mut self.program)?;

            let done = step + 1;
            let is_due = config.checkpoint_every > 0 && done % config.checkpoint_every == 0 && done < epoch_end;
            if done % HISTORY as u64 == 0 || done == epoch_end || is_due {
                let pending = self.program.read_later(METRICS)?;
                let new = Queued { pending, first: unread, count: done - unread };
                unread = done;
                // The steps before are read while these run.
                if let Some(old) = queued.replace(new) {
                    self.collect(old, epoch)?;
                }
                if (is_due || done == epoch_end)
                    && let Some(last) = queued.take()
                {
                    self.collect(last, epoch)?;
                }
                if is_due {
                    self.save(false)?;
                }
                let progress = &self.header.progress;
                let known = progress.step - first;
                let rate = (known * self.resolved.batch as u64) as f64 / begin.elapsed().as_secs_f64();
                let images = progress.images.max(1.0);
                let (loss, accuracy) = (progress.loss_sum / images, progress.correct / images);
                reporter.advance(progress.step - epoch * steps, loss, accuracy, rate);
            }
        }
        Ok(())
    }

    /// Takes the metrics of some steps into the run's tables and sums.
    fn collect(&mut self, queued: Queued, epoch: u64) -> Result<(), TrainError> {
        let history = self.engine.finish(queued.pending)?;
        let mut rows = Vec::with_capacity(queued.count as usize);
        for step in queued.first..queued.first + queued.count {
            let row = (step % HISTORY as u64) as usize * 3;
            let [loss, correct, images] = [0, 1, 2].map(|column| history.f32()[row + column]);
            let progress = &mut self.header.progress;
            progress.loss_sum += f64::from(loss) * f64::from(images);
            progress.correct += f64::from(correct);
            progress.images += f64::from(images);
            progress.step = step + 1;
            let lr = self.learning_rate.rate(step);
            rows.push(StepRow { step, epoch: epoch + 1, lr, loss, accuracy: correct / images.max(1.0) });
            if !loss.is_finite() {
                self.folder.write_steps(&rows)?;
                return Err(TrainError::Diverged { step, loss });
            }
        }
        self.folder.write_steps(&rows)
    }

    /// Writes the checkpoint, and a second one when it is the best so far.
    fn save(&mut self, is_best: bool) -> Result<(), TrainError> {
        self.header.learning_rate = serde_json::to_value(&self.learning_rate).unwrap_or_default();
        let mut checkpoint = Checkpoint { header: self.header.clone(), tensors: Default::default() };
        for value in self.graph.parameters().chain(self.graph.buffers()) {
            let tensor = self.graph.tensor(value);
            if is_saved(&tensor.name) {
                let data = self.engine.state(&tensor.name)?.f32().to_vec();
                checkpoint.tensors.insert(tensor.name.clone(), (tensor.spec.shape.clone(), data));
            }
        }
        save_checkpoint(&RunFolder::checkpoint(self.folder.path()), &checkpoint)?;
        if is_best {
            save_checkpoint(&RunFolder::best(self.folder.path()), &checkpoint)?;
        }
        Ok(())
    }
}

/// What the two ways to begin have in common.
struct Parts {
    engine: Engine,
    graph: Graph,
    attached: Attached,
    program: Executable,
    evaluator: Evaluator,
}

impl Parts {
    fn new(config: &TrainConfig, splits: &Splits, resolved: Resolved, mut engine: Engine) -> Result<Parts, TrainError> {
        let train = &splits.train;
        let shape = [resolved.batch, train.channels, train.height, train.width];
        let batch = Batch { shape, classes: train.classes.len() };
        let (graph, attached) = training_graph(config, batch)?;
        let program = engine.prepare(&graph)?;
        let evaluator = Evaluator::new(config, batch, &mut engine)?;
        Ok(Parts { engine, graph, attached, program, evaluator })
    }

    fn into_trainer(
        self,
        splits: Splits,
        resolved: Resolved,
        header: Header,
        learning_rate: LearningRate,
        folder: RunFolder,
    ) -> Trainer {
        let Parts { engine, graph, attached, program, evaluator } = self;
        Trainer {
            engine,
            splits: Arc::new(splits),
            resolved,
            graph,
            attached,
            program,
            evaluator,
            learning_rate,
            header,
            folder,
        }
    }
}

fn prepare_data(config: &TrainConfig) -> Result<(Splits, Resolved), TrainError> {
    config.validate()?;
    let model = models::find(&config.model)?;
    let splits = config.data.load(&config.load_options(model.input[0]))?;
    let resolved = Resolved::of(config, splits.train.len());
    Ok((splits, resolved))
}

fn start(config: &TrainConfig, splits: &Splits) -> Result<(Header, LearningRate), TrainError> {
    let train = &splits.train;
    let input = [train.channels, train.height, train.width];
    let header = Header::new(config.clone(), input, train.classes.clone(), Normalization::of(train));
    Ok((header, LearningRate::new(config.schedule_of(1)?, config.lr)?))
}

/// Whether a tensor goes into checkpoints.
fn is_saved(name: &str) -> bool {
    !name.starts_with("history.")
}
