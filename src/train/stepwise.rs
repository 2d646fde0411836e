//! Training a few steps at a time, in memory: no clock, no file, no terminal, and nothing that waits. Whoever drives it says when
//! the next steps run: a page in a browser, or a program with a loop of its own.

use super::evaluate::Testing;
use super::graphs::HISTORY;
use super::runner::Runner;
use super::start::{check, start};
use super::step_metrics::StepSums;
use super::{Evaluation, Resolved, TrainError};
use crate::checkpoint::{Checkpoint, Header};
use crate::data::{Batches, Splits};
use crate::optim::schedule::LearningRate;
use crate::recipe::TrainConfig;
use crate::session::{Device, Session};
use crate::setting::BadSetting;
use crate::tensor::Shape;
use std::path::Path;
use std::sync::Arc;

/// A run that is driven from outside. Its steps have the bits of [`Trainer`](super::Trainer)'s.
///
/// It keeps no average of the weights, starts from no file, and takes a batch in parts only where `micro_batch` says so.
///
/// ```
/// # async fn driven() -> Result<(), Box<dyn std::error::Error>> {
/// use tilewright::data::LoadOptions;
/// use tilewright::recipe::TrainConfig;
/// use tilewright::session::Device;
/// use tilewright::train::Stepwise;
///
/// let mut recipe = TrainConfig::for_model("lenet5")?;
/// recipe.data = "synthetic:1x28x28:2:40".parse()?;
/// (recipe.epochs, recipe.batch) = (1, 10);
/// let splits = recipe.data.load(&LoadOptions::default())?;
/// let mut run = Stepwise::new(splits, recipe, &Device::reference()).await?;
/// while !run.is_over() {
///     for step in run.steps(16).await? {
///         println!("{} {}", step.step, step.loss);
///     }
/// }
/// println!("{}", run.evaluate().await?.top1);
/// # Ok(())
/// # }
/// ```
pub struct Stepwise {
    splits: Arc<Splits>,
    resolved: Resolved,
    runner: Runner,
    learning_rate: LearningRate,
    header: Header,
    sums: StepSums,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// Counted from 0.
    pub step: u64,
    /// The rate of its update.
    pub lr: f64,
    /// Mean over the step's images.
    pub loss: f32,
    /// Share of the images that were told rightly, from 0 to 1.
    pub accuracy: f32,
    /// How many images it took.
    pub images: usize,
}

impl Stepwise {
    /// Builds the graphs of a run on these images, and begins it.
    ///
    /// # Errors
    /// When settings, data, model and device do not go together.
    pub async fn new(
        splits: impl Into<Arc<Splits>>,
        config: TrainConfig,
        device: &Device,
    ) -> Result<Stepwise, TrainError> {
        config.validate()?;
        refuse(&config)?;
        let splits = splits.into();
        check(&config, &splits.train)?;
        let resolved = Resolved::of_data(&config, &splits.train)?;
        let runner = Runner::new_async(&config, &splits, resolved, device).await?;
        let (header, learning_rate) = start(&config, &splits, resolved)?;
        Ok(Stepwise { splits, resolved, runner, learning_rate, header, sums: StepSums::new(resolved) })
    }

    /// Runs up to `most` steps, but none of the next epoch, and waits for what they came to. None are left once the run
    /// [is over](Stepwise::is_over).
    ///
    /// # Errors
    /// When the device fails.
    pub async fn steps(&mut self, most: u64) -> Result<Vec<Step>, TrainError> {
        let Resolved { parts, steps_per_epoch, total_steps, .. } = self.resolved;
        let first = self.header.progress.step;
        let epoch = first / steps_per_epoch.max(1);
        let end = total_steps.min((epoch + 1) * steps_per_epoch).min(first.saturating_add(most));
        let mut done = Vec::new();
        if first >= end {
            return Ok(done);
        }
        let (splits, config) = (Arc::clone(&self.splits), self.header.config.clone());
        let batches = Batches::new(&splits.train, self.resolved.part(), &self.header.normalization)?
            .sampled(config.sampler, config.seed, epoch)
            .augmented(&config.augmentations()?)?;
        let mut unread = first * parts;
        for step in first..end {
            let update = self.runner.attached.inputs(step, self.learning_rate.rate(step));
            let runs = self.resolved.runs(step);
            for run in runs.clone() {
                let batch = batches.pack((run - epoch * steps_per_epoch * parts) as usize)?;
                self.runner.run_part_async(run, &batch, &update).await?;
                let is_last = step + 1 == end && run + 1 == runs.end;
                if (run + 1) % HISTORY as u64 == 0 || is_last {
                    let history = self.runner.read_metrics()?.arrive().await?;
                    done.extend((unread..=run).filter_map(|run| self.collect(run, history.f32())));
                    unread = run + 1;
                }
            }
            self.runner.run_update_async(&update).await?;
        }
        if end.is_multiple_of(steps_per_epoch) || self.is_over() {
            let progress = &mut self.header.progress;
            (progress.loss_sum, progress.correct, progress.images) = (0.0, 0.0, 0.0);
        }
        Ok(done)
    }

    fn collect(&mut self, run: u64, history: &[f32]) -> Option<Step> {
        let metrics = self.sums.add(run, history)?;
        let progress = &mut self.header.progress;
        progress.step = metrics.step + 1;
        progress.loss_sum += metrics.loss_sum;
        progress.correct += metrics.correct;
        progress.images += metrics.images;
        Some(Step {
            step: metrics.step,
            lr: self.learning_rate.rate(metrics.step),
            loss: metrics.loss(),
            accuracy: metrics.accuracy(),
            images: metrics.images as usize,
        })
    }

    /// Whether all steps are done.
    pub fn is_over(&self) -> bool {
        self.header.progress.step >= self.resolved.total_steps
    }

    /// Its steps, and how many images each takes.
    pub fn resolved(&self) -> Resolved {
        self.resolved
    }

    /// What a checkpoint says of the run.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The images.
    pub fn splits(&self) -> &Splits {
        &self.splits
    }

    /// How many parameters are trained, and of how many.
    pub fn parameters(&self) -> &str {
        &self.runner.parameters
    }

    /// Where its tensors are.
    pub fn session(&self) -> &Session {
        &self.runner.session
    }

    /// Name and shape of the model's parameters and running statistics.
    pub fn tensors(&self) -> &[(String, Shape)] {
        self.runner.evaluator.tensors()
    }

    /// What the model is worth on the images that decide: those for validation, else those for testing.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn evaluate(&mut self) -> Result<Evaluation, TrainError> {
        let mut testing = self.begin_test();
        loop {
            if let Some(found) = self.test(&mut testing, usize::MAX).await? {
                return Ok(found);
            }
        }
    }

    /// A pass over the images that decide, which [`Stepwise::test`] makes in parts.
    pub fn begin_test(&self) -> Testing {
        self.runner.evaluator.begin_test()
    }

    /// Runs the model on the next `most` batches of the images that decide: what it is worth on all of them, once they are
    /// through. Steps in between would make it a mixture of two models.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn test(&mut self, testing: &mut Testing, most: usize) -> Result<Option<Evaluation>, TrainError> {
        let splits = Arc::clone(&self.splits);
        let evaluator = &mut self.runner.evaluator;
        let found = evaluator.test_async(testing, splits.deciding(), &self.header.normalization, most).await?;
        Ok(found.inspect(|found| self.note(found)))
    }

    /// Keeps what the model was worth.
    fn note(&mut self, found: &Evaluation) {
        let (accuracy, progress) = (found.top1, &mut self.header.progress);
        (progress.test_accuracy, progress.test_loss) = (accuracy, found.loss);
        if accuracy > progress.best_accuracy {
            (progress.best_accuracy, progress.best_step) = (accuracy, progress.step);
        }
    }

    /// Logits `[images, classes]` of the bytes of images `[images, C, H, W]`, no more than a batch has.
    ///
    /// # Errors
    /// When there are more, or the device fails.
    pub async fn logits(&mut self, images: &[u8]) -> Result<Vec<f32>, TrainError> {
        self.runner.evaluator.logits_async(images, &self.header.normalization).await
    }

    /// The run as it is: what [`crate::checkpoint::save_checkpoint`] writes.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn checkpoint(&self) -> Result<Checkpoint, TrainError> {
        Ok(Checkpoint { header: self.header.clone(), tensors: self.runner.export_async().await? })
    }

    /// Takes over parameters and running statistics of a checkpoint, which errors name as `path`. The optimizer's state
    /// and the step stay.
    ///
    /// # Errors
    /// When one is missing, of another shape, or not finite.
    pub fn take_weights(&self, checkpoint: &Checkpoint, path: &Path) -> Result<(), TrainError> {
        self.runner.evaluator.restore(checkpoint, path)
    }
}

/// Refuses what it does not have.
fn refuse(config: &TrainConfig) -> Result<(), TrainError> {
    let given = [
        ("average", config.average.map(|average| format!("{average:?}"))),
        ("init", config.init.as_ref().map(|file| file.display().to_string())),
        ("shards", config.shards.filter(|&shards| shards > 1).map(|shards| shards.to_string())),
        ("whiten", config.whiten.clone()),
        ("norms", config.norms.then(|| "given".to_owned())),
    ];
    match given.into_iter().find_map(|(name, value)| Some((name, value?))) {
        Some((name, value)) => {
            Err(BadSetting::new(name, value, "left out in a run that is driven step by step").into())
        }
        None => Ok(()),
    }
}
