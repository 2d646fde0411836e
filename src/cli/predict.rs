//! `tilewright predict`: classes and probabilities of single images.

use super::eval::checkpoint_file;
use super::place::Place;
use super::rows::ImageOptions;
use super::{CliError, Global};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tilewright::checkpoint::{Checkpoint, load_checkpoint};
use tilewright::data::{MAX_PIXELS, images_of, load_image};
use tilewright::path_text::lossy;
use tilewright::recipe::Precision;
use tilewright::train::{Batch, Evaluator, TrainError, softmax};

/// Tell what is on images: classes and probabilities
///
/// Each image gets a line. One that cannot be read gets the reason, the others are told all the same, and the exit status
/// is 1.
#[derive(Args)]
pub(super) struct Predict {
    /// A checkpoint, or a run folder whose last checkpoint is taken
    checkpoint: PathBuf,
    /// JPEG, PNG, WebP or BMP files, or folders of which all images are taken; they are brought to what the model takes
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Number of classes to name
    #[arg(long, default_value_t = 3)]
    top: usize,
    /// Refuse images of more pixels, before they are decoded
    #[arg(long, value_name = "PIXELS", default_value_t = MAX_PIXELS)]
    max_pixels: u64,
    #[command(flatten)]
    seen: ImageOptions,
    #[command(flatten)]
    pub place: Place,
}

/// Pixels of the images of a batch: those of 16 images of ImageNet's size.
const BATCH_PIXELS: usize = 16 * 224 * 224;

impl Predict {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let reporter = global.reporter();
        let path = checkpoint_file(&self.checkpoint);
        let mut checkpoint = load_checkpoint(&path)?;
        let header = &mut checkpoint.header;
        header.preprocessing = self.seen.over(header.preprocessing, header.input)?;
        let [channels, height, width] = header.input;
        let files = self.files(global)?;
        let size = (BATCH_PIXELS / (height * width)).clamp(1, 16).min(files.len());
        let batch = Batch { shape: [size, channels, height, width], classes: header.classes.len() };
        let device = global.training_device(global.tuned.as_deref(), Precision::F32)?;
        let mut evaluator = Evaluator::of(&checkpoint, &path, batch, &device)?;
        drop(reporter);
        let mut predictions = Vec::new();
        for files in files.chunks(size) {
            let logits = logits(files, (&path, &checkpoint), batch, self.max_pixels, &mut evaluator)?;
            for (file, logits) in files.iter().zip(logits) {
                predictions.push(self.tell(global, &checkpoint.header.classes, file, logits));
            }
        }
        let failed = predictions.iter().filter(|prediction| prediction.get("error").is_some()).count();
        if failed > 0 {
            global.note(format_args!("error: {failed} of {} images have no prediction", predictions.len()));
        }
        global.result(&json!({ "predictions": predictions, "failed": failed }));
        if failed > 0 { Err(CliError::Judged) } else { Ok(()) }
    }

    /// The images that are meant, those of folders in the order of their names.
    fn files(&self, global: &Global) -> Result<Vec<PathBuf>, CliError> {
        let mut files = Vec::new();
        for path in &self.images {
            match path.is_dir() {
                true => {
                    let (images, left_out) = images_of(path)?;
                    left_out.iter().for_each(|note| global.note(note));
                    files.extend(images);
                }
                false => files.push(path.clone()),
            }
        }
        Ok(files)
    }

    /// Says what is on one image, and gives it as JSON.
    fn tell(&self, global: &Global, names: &[String], file: &Path, logits: Result<Vec<f32>, String>) -> Value {
        let shown = file.display().to_string();
        let logits = match logits {
            Ok(logits) => logits,
            Err(reason) => {
                global.say(format_args!("{shown}: error: {reason}"));
                return json!({ "image": lossy(file), "error": reason });
            }
        };
        let probabilities = softmax(&logits);
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        order.truncate(self.top);
        let named: Vec<String> =
            order.iter().map(|&class| format!("{} {:.2} %", names[class], 100.0 * probabilities[class])).collect();
        global.say(format_args!("{shown}: {}", named.join(", ")));
        let classes: Vec<_> =
            order.iter().map(|&class| json!({ "class": names[class], "probability": probabilities[class] })).collect();
        json!({ "image": lossy(file), "classes": classes, "logits": logits })
    }
}

/// The logits of at most a batch of images; the reason for each that has none.
fn logits(
    files: &[PathBuf],
    (path, checkpoint): (&Path, &Checkpoint),
    batch: Batch,
    max_pixels: u64,
    evaluator: &mut Evaluator,
) -> Result<Vec<Result<Vec<f32>, String>>, CliError> {
    let header = &checkpoint.header;
    let [_, channels, height, width] = batch.shape;
    let load = |file: &PathBuf| load_image(file, channels, (height, width), header.preprocessing, max_pixels);
    let loaded: Vec<_> = files.iter().map(|file| load(file).map_err(|error| error.to_string())).collect();
    let images: Vec<u8> = loaded.iter().flatten().flatten().copied().collect();
    let rows = match images.is_empty() {
        true => Vec::new(),
        false => evaluator.logits(&images, &header.normalization)?,
    };
    let mut rows = rows.chunks_exact(batch.classes);
    let result = |(file, image): (&PathBuf, Result<Vec<u8>, String>)| {
        image?;
        let row = rows.next().unwrap_or_default();
        // Finite weights may still overflow, and a share of nothing says nothing.
        match row.iter().all(|logit| logit.is_finite()) {
            true => Ok(row.to_vec()),
            false => {
                let what = format!("`{}`", file.display());
                Err(TrainError::NoProbabilities { checkpoint: path.to_owned(), what }.to_string())
            }
        }
    };
    Ok(files.iter().zip(loaded).map(result).collect())
}
