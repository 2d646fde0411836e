//! `tilewright predict`: classes and probabilities of single images, and where the evidence for them lies.

use super::eval::checkpoint_file;
use super::images::{Loaded, batch_of, files};
use super::output::{make_folder, refuse_overwriting, write, write_picture};
use super::place::Place;
use super::rows::ImageOptions;
use super::{CliError, Global};
use clap::Args;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tilewright::checkpoint::{Checkpoint, load_checkpoint};
use tilewright::data::MAX_PIXELS;
use tilewright::path_text::lossy;
use tilewright::recipe::Precision;
use tilewright::report::Picture;
use tilewright::train::{Evaluator, Evidence, Explainer, TrainError, explanation, softmax};

/// Tell what is on images: classes and probabilities
///
/// Each image gets a line. One that cannot be read gets the reason, the others are told all the same, and the exit status
/// is 1.
#[derive(Args)]
pub(super) struct Predict {
    /// A checkpoint, or a run folder whose last checkpoint is taken
    checkpoint: PathBuf,
    /// JPEG, PNG, WebP or BMP files, folders of which all images are taken, or patterns such as 'photos/*.jpg'; they are
    /// brought to what the model takes
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Number of classes to name
    #[arg(long, default_value_t = 3)]
    top: usize,
    /// Write the predictions to this file too: a table where it ends in .csv, a line of JSON each where in .jsonl
    #[arg(long, value_name = "FILE", value_parser = parse_out)]
    out: Option<PathBuf>,
    /// Write the predictions even where the file belongs to a run
    #[arg(long)]
    force: bool,
    /// Show where the model looks: write a PNG picture of each image with the places that speak for its class to this folder
    ///
    /// Grad-CAM (Selvaraju et al. 2017), by the last convolution's features: yellow speaks for the class most.
    #[arg(long, value_name = "DIR")]
    explain: Option<PathBuf>,
    /// Refuse images of more pixels, before they are decoded
    #[arg(long, value_name = "PIXELS", default_value_t = MAX_PIXELS)]
    max_pixels: u64,
    #[command(flatten)]
    seen: ImageOptions,
    #[command(flatten)]
    pub place: Place,
}

/// What is said of an image: its logits and, where it is asked for, the evidence; or the reason why nothing is.
type Told = Result<(Vec<f32>, Option<PathBuf>), String>;

impl Predict {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        if let Some(out) = &self.out {
            refuse_overwriting(out, &[], self.force)?;
        }
        let reporter = global.reporter();
        let path = checkpoint_file(&self.checkpoint);
        let mut checkpoint = load_checkpoint(&path)?;
        let header = &mut checkpoint.header;
        header.preprocessing = self.seen.over(header.preprocessing, header.input)?;
        let files = files(&self.images, global)?;
        let batch = batch_of(files.len(), header);
        let device = global.training_device(global.tuned.as_deref(), Precision::F32)?;
        let mut evaluator = Evaluator::of(&checkpoint, &path, batch, &device)?;
        let mut explainer = match &self.explain {
            Some(folder) => {
                make_folder(folder)?;
                Some(Explainer::of(&checkpoint, &path, batch, &device)?)
            }
            None => None,
        };
        drop(reporter);
        let mut predictions = Vec::new();
        for files in files.chunks(batch.shape[0]) {
            let loaded = Loaded::read(files, &checkpoint.header, batch, self.max_pixels);
            let bytes: Vec<u8> = loaded.bytes.iter().flatten().flatten().copied().collect();
            let rows = match bytes.is_empty() {
                true => Vec::new(),
                false => evaluator.logits(&bytes, &checkpoint.header.normalization)?,
            };
            let evidence = match &mut explainer {
                Some(explainer) if !rows.is_empty() => explainer.explain(&loaded.numbers, None)?,
                _ => Vec::new(),
            };
            let (mut rows, mut evidence) = (rows.chunks_exact(batch.classes), evidence.into_iter());
            for (file, image) in files.iter().zip(&loaded.bytes) {
                let told = match image {
                    Err(reason) => Err(reason.clone()),
                    Ok(image) => {
                        let (row, evidence) = (rows.next().unwrap_or_default(), evidence.next());
                        self.judge(&checkpoint, (predictions.len() + 1, file), image, row, evidence)?
                    }
                };
                predictions.push(self.tell(global, &checkpoint.header.classes, file, told));
            }
        }
        if let Some(out) = &self.out {
            let bytes = if is_csv(out) { as_table(&predictions, self.top) } else { as_lines(&predictions) };
            write(out, &bytes)?;
        }
        let failed = predictions.iter().filter(|prediction| prediction.get("error").is_some()).count();
        if failed > 0 {
            global.note(format_args!("error: {failed} of {} images have no prediction", predictions.len()));
        }
        global.result(&json!({ "predictions": predictions, "failed": failed }));
        if failed > 0 { Err(CliError::Judged) } else { Ok(()) }
    }

    /// What is said of image `number`, by its logits; with a picture of the evidence, where that is asked for.
    fn judge(
        &self,
        checkpoint: &Checkpoint,
        (number, file): (usize, &Path),
        image: &[u8],
        logits: &[f32],
        evidence: Option<Evidence>,
    ) -> Result<Told, CliError> {
        // Finite weights may still overflow, and a share of nothing says nothing.
        if !logits.iter().all(|logit| logit.is_finite()) {
            let (checkpoint, what) = (checkpoint_file(&self.checkpoint), format!("`{}`", file.display()));
            return Ok(Err(TrainError::NoProbabilities { checkpoint, what }.to_string()));
        }
        let (Some(folder), Some(evidence)) = (&self.explain, evidence) else { return Ok(Ok((logits.to_vec(), None))) };
        let name = file.file_stem().map_or_else(|| "image".to_owned(), |stem| lossy(Path::new(stem)));
        let path = folder.join(format!("{number:05}-{name}.png"));
        write_picture(&path, &Picture::Tiles(&explanation(image, &checkpoint.header, &evidence)))?;
        Ok(Ok((logits.to_vec(), Some(path))))
    }

    /// Says what is on one image, and gives it as JSON.
    fn tell(&self, global: &Global, names: &[String], file: &Path, told: Told) -> Value {
        let shown = file.display().to_string();
        let (logits, picture) = match told {
            Ok(told) => told,
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
        let mut prediction = json!({ "image": lossy(file), "classes": classes, "logits": logits });
        if let Some(picture) = picture {
            prediction["explanation"] = lossy(&picture).into();
        }
        prediction
    }
}

fn parse_out(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "csv" | "jsonl" | "ndjson" => Ok(path),
        _ => Err("its name must end in .csv for a table, or in .jsonl for lines of JSON".to_owned()),
    }
}

fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
}

/// A line of JSON for each image.
fn as_lines(predictions: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for prediction in predictions {
        writeln!(bytes, "{prediction}").expect("writing to memory does not fail");
    }
    bytes
}

/// A row for each image: its path, classes and probabilities in turn, the likeliest first, and the reason where there are none.
fn as_table(predictions: &[Value], top: usize) -> Vec<u8> {
    let most = predictions.iter().filter_map(|told| told["classes"].as_array()).map(Vec::len).max().unwrap_or(0);
    let pairs = top.min(most);
    let mut table = csv::Writer::from_writer(Vec::new());
    let titles = (1..=pairs).flat_map(|place| [format!("class_{place}"), format!("probability_{place}")]);
    let titles = ["image".to_owned()].into_iter().chain(titles).chain(["error".to_owned()]);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows = predictions.iter().map(|told| {
        let cells = (0..pairs).flat_map(|place| {
            let class = &told["classes"][place];
            ["class", "probability"].map(|key| class.get(key).map(text).unwrap_or_default())
        });
        let error = told.get("error").map(text).unwrap_or_default();
        [text(&told["image"])].into_iter().chain(cells).chain([error]).collect::<Vec<_>>()
    });
    for row in [titles.collect()].into_iter().chain(rows) {
        table.write_record(&row).expect("writing to memory does not fail");
    }
    table.into_inner().expect("writing to memory does not fail")
}
