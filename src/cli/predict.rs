//! `tilewright predict`: classes and probabilities of single images.

use super::eval::checkpoint_file;
use super::place::Place;
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tilewright::data::{MAX_PIXELS, load_image};
use tilewright::path_text::lossy;
use tilewright::train::{Batch, Evaluator, TrainError, load_checkpoint, softmax};

/// Tell what is on images: classes and probabilities
#[derive(Args)]
pub struct Predict {
    /// A checkpoint, or a run folder whose last checkpoint is taken
    checkpoint: PathBuf,
    /// JPEG, PNG, WebP or BMP files; they are resized to what the model takes
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Number of classes to name
    #[arg(long, default_value_t = 3)]
    top: usize,
    /// Refuse images of more pixels, before they are decoded
    #[arg(long, value_name = "PIXELS", default_value_t = MAX_PIXELS)]
    max_pixels: u64,
    #[command(flatten)]
    pub place: Place,
}

impl Predict {
    pub fn run(&self, global: &Global) -> Result<(), CliError> {
        let reporter = global.reporter();
        let path = checkpoint_file(&self.checkpoint);
        let checkpoint = load_checkpoint(&path)?;
        let header = &checkpoint.header;
        let [channels, height, width] = header.input;
        // All images are read first: a wrong one is told before the device is opened.
        let images: Vec<Vec<u8>> = self
            .images
            .iter()
            .map(|image| load_image(image, channels, (height, width), self.max_pixels))
            .collect::<Result<_, _>>()?;
        let mut engine = global.training_engine(header.config.seed, global.tuned.as_deref())?;
        let batch = Batch { shape: [1, channels, height, width], classes: header.classes.len() };
        let mut evaluator = Evaluator::of(&checkpoint, &path, batch, &mut engine)?;
        drop(reporter);
        let mut predictions = Vec::new();
        for (file, image) in self.images.iter().zip(images) {
            let logits = evaluator.logits(&mut engine, header.normalization.apply(&image))?;
            if !logits.iter().all(|logit| logit.is_finite()) {
                let what = format!("`{}`", file.display());
                return Err(TrainError::NoProbabilities { checkpoint: path.clone(), what }.into());
            }
            let probabilities = softmax(&logits);
            let mut order: Vec<usize> = (0..probabilities.len()).collect();
            order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
            order.truncate(self.top);
            let named: Vec<String> = order
                .iter()
                .map(|&class| format!("{} {:.2} %", header.classes[class], 100.0 * probabilities[class]))
                .collect();
            global.say(format_args!("{}: {}", file.display(), named.join(", ")));
            let classes: Vec<_> = order
                .iter()
                .map(|&class| json!({ "class": header.classes[class], "probability": probabilities[class] }))
                .collect();
            predictions.push(json!({ "image": lossy(file), "classes": classes, "logits": logits }));
        }
        global.result(&json!({ "predictions": predictions }));
        Ok(())
    }
}
