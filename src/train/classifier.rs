//! A trained model, for what it says of images.

use super::init::weights_file;
use super::probabilities::log_probabilities;
use super::{Batch, Evaluator, TrainError};
use crate::checkpoint::{Checkpoint, load_checkpoint};
use crate::data::{MAX_PIXELS, load_image};
use crate::session::Device;
use std::path::{Path, PathBuf};

/// A checkpoint on a device, that tells images apart one by one.
///
/// ```no_run
/// use tilewright::session::Device;
/// use tilewright::train::Classifier;
///
/// let mut model = Classifier::open("runs/mine", &Device::reference())?;
/// println!("{}", model.classify("cat.jpg")?[0].class);
/// # Ok::<(), tilewright::train::TrainError>(())
/// ```
pub struct Classifier {
    checkpoint: Checkpoint,
    path: PathBuf,
    evaluator: Evaluator,
}

/// A class, and how likely it is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Likelihood {
    /// Name of the class.
    pub class: String,
    /// From 0 to 1; over all classes they add up to 1.
    pub probability: f64,
}

impl Classifier {
    /// Opens a checkpoint, or the last one of a run folder.
    ///
    /// # Errors
    /// When it cannot be read, does not suit its model, or the device cannot run it.
    pub fn open(path: impl AsRef<Path>, device: &Device) -> Result<Classifier, TrainError> {
        let path = weights_file(path.as_ref());
        let checkpoint = load_checkpoint(&path)?;
        let [channels, height, width] = checkpoint.header.input;
        let batch = Batch { shape: [1, channels, height, width], classes: checkpoint.header.classes.len() };
        let evaluator = Evaluator::of(&checkpoint, &path, batch, device)?;
        Ok(Classifier { checkpoint, path, evaluator })
    }

    /// The names of the classes, in the order of the logits.
    pub fn classes(&self) -> &[String] {
        &self.checkpoint.header.classes
    }

    /// All classes, the likeliest first, for an image file of any size: it is read as the images were that the model was
    /// trained on.
    ///
    /// # Errors
    /// When the file is no image, or the device fails.
    pub fn classify(&mut self, image: impl AsRef<Path>) -> Result<Vec<Likelihood>, TrainError> {
        let header = &self.checkpoint.header;
        let [channels, height, width] = header.input;
        let image = load_image(image.as_ref(), channels, (height, width), header.preprocessing, MAX_PIXELS)?;
        self.classify_pixels(&image)
    }

    /// As [`Classifier::classify`], for the bytes of an image `[C, H, W]` of the model's size.
    ///
    /// # Errors
    /// When there are other bytes than that, the logits are not finite, or the device fails.
    pub fn classify_pixels(&mut self, image: &[u8]) -> Result<Vec<Likelihood>, TrainError> {
        let header = &self.checkpoint.header;
        let logits = self.evaluator.logits(image, &header.normalization)?;
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(TrainError::NoProbabilities { checkpoint: self.path.clone(), what: "the image".to_owned() });
        }
        let p = log_probabilities(&logits, header.classes.len());
        let likelihood = |(class, p): (&String, f64)| Likelihood { class: class.clone(), probability: p.exp() };
        let mut all: Vec<Likelihood> = header.classes.iter().zip(p).map(likelihood).collect();
        all.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        Ok(all)
    }
}
