//! The textbook's check of sanity: a network that cannot learn a few images by heart cannot learn anything.

use super::start::read_data;
use super::trial::Trial;
use super::{Reporter, TrainError};
use crate::activity::Stage;
use crate::data::Sampler;
use crate::models;
use crate::recipe::TrainConfig;
use crate::session::Device;
use crate::setting::BadSetting;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Trains on a few images until the loss is near 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overfit {
    /// How many, of all classes in turn.
    pub images: usize,
    /// How often they are gone through at most.
    pub epochs: u64,
}

/// What it came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OverfitOutcome {
    /// Whether all images were told rightly, at a loss near 0.
    pub learned: bool,
    /// Images that it was tried on.
    pub images: usize,
    /// Steps that were made.
    pub steps: u64,
    /// Loss of the first step.
    pub first_loss: f64,
    /// Mean loss of the last pass.
    pub loss: f64,
    /// The loss that counts as near 0.
    pub threshold: f64,
    /// Share of the images that were told rightly in the last pass.
    pub accuracy: f64,
}

/// Passes over the images at most, where nobody says how many.
const EPOCHS: u64 = 500;

/// Near 0 is this share of the first loss, or of that of guessing where the first is larger.
const NEAR: f64 = 0.01;

/// What draws at random within a network, by the names of models' attributes.
const RANDOM: [&str; 2] = ["dropout", "stochastic_depth"];

impl Overfit {
    /// On so many images.
    pub fn on(images: usize) -> Overfit {
        Overfit { images, epochs: EPOCHS }
    }

    /// Trains `config` at its learning rate throughout, with nothing that keeps a network from learning by heart: no random
    /// changes to images, no dropout, no smoothing, no penalty. Keeps nothing.
    ///
    /// # Errors
    /// When settings, data, model and device do not go together, the device fails, or `stop` turns true.
    pub fn run(
        &self,
        config: &TrainConfig,
        device: &Device,
        stop: &AtomicBool,
        reporter: &mut dyn Reporter,
    ) -> Result<OverfitOutcome, TrainError> {
        if self.images < 2 {
            return Err(BadSetting::new("overfit", self.images, "at least 2 images").into());
        }
        let config = bare(config, self.images)?;
        let splits = read_data(&config, device.activity())?;
        let images = splits.train.len();
        let mut trial = Trial::fitted(&config, &splits, device)?;
        let resolved = trial.resolved();
        trial.notes().iter().for_each(|note| reporter.note(note));
        reporter.note(&format!(
            "{}, {}, is to learn {images} images of {} by heart, with {}",
            config.model,
            trial.parameters(),
            splits.train.name,
            device.name()
        ));
        let most = resolved.steps_per_epoch.saturating_mul(self.epochs);
        reporter.begin("by heart", 0, most);
        let submitting = trial.activity().enter(Stage::Training, most);
        let begin = Instant::now();
        let guessing = (splits.train.classes.len() as f64).ln();
        let (mut outcome, mut sums) = (None, [0.0; 3]);
        for step in 0..most {
            let metrics = trial.step(step, config.lr)?;
            submitting.advance();
            let first_loss =
                outcome.as_ref().map_or(f64::from(metrics.loss()), |last: &OverfitOutcome| last.first_loss);
            let own = [metrics.loss_sum, metrics.correct, metrics.images];
            sums = std::array::from_fn(|i| sums[i] + own[i]);
            let (loss, accuracy) = (sums[0] / sums[2], sums[1] / sums[2]);
            let threshold = NEAR * first_loss.abs().min(guessing);
            let is_pass = (step + 1).is_multiple_of(resolved.steps_per_epoch);
            let learned = is_pass && accuracy == 1.0 && loss <= threshold;
            outcome = Some(OverfitOutcome { learned, images, steps: step + 1, first_loss, loss, threshold, accuracy });
            if learned || !loss.is_finite() {
                break;
            }
            if stop.load(Ordering::Relaxed) {
                return Err(TrainError::Cancelled { done: step + 1, all: most });
            }
            if is_pass {
                let rate = resolved.images(0..step + 1) as f64 / begin.elapsed().as_secs_f64().max(1e-9);
                reporter.advance(step + 1, loss, accuracy, rate);
                sums = [0.0; 3];
            }
        }
        outcome.ok_or_else(|| BadSetting::new("epochs", self.epochs, "at least 1").into())
    }
}

/// The configuration on so many images, with nothing in it that keeps a network from learning by heart.
fn bare(config: &TrainConfig, images: usize) -> Result<TrainConfig, TrainError> {
    let mut bare = TrainConfig {
        limit: Some(config.limit.map_or(images, |limit| limit.min(images))),
        validation: None,
        batch: config.batch.min(images),
        micro_batch: config.micro_batch.filter(|&part| part < images),
        shards: None,
        drop_last: false,
        label_smoothing: 0.0,
        sampler: Sampler::Shuffle,
        class_weights: None,
        average: None,
        flip: false,
        crop: 0,
        augment: None,
        stored_size: None,
        train_size: None,
        l1: 0.0,
        run: None,
        ..config.clone()
    };
    let model = models::find(&config.model)?;
    for name in RANDOM.into_iter().filter(|name| model.attributes.iter().any(|(known, _)| known == name)) {
        bare.attributes.insert(name.to_owned(), 0.0.into());
    }
    Ok(bare)
}
