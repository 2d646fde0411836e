//! `tilewright eval`: accuracy of a checkpoint, or of several together, on a data set.

use super::output::make_folder;
use super::place::Place;
use super::rows::ImageOptions;
use super::settings::{DATA, source_parser};
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use tilewright::activity::Stage;
use tilewright::checkpoint::load_checkpoint;
use tilewright::data::{ClassMatching, MAX_PIXELS, MemorySize, Source, Views};
use tilewright::path_text::lossy;
use tilewright::recipe::Precision;
use tilewright::report::Table;
use tilewright::train::{
    ClassScore, Ensemble, Evaluation, Findings, Record, RunFolder, TestData, layer_norms, write_norms,
};

/// Measure a checkpoint on the test images: top-1, top-5, loss, calibration, confusion matrix and each class
///
/// Several checkpoints are an ensemble: for each image, the probabilities of the classes are averaged over them. Their
/// models, image sizes and normalisations may differ, and the order of their classes, but not the classes. Each is also
/// measured by itself.
#[derive(Args)]
pub(super) struct Eval {
    /// Checkpoints, or run folders whose last checkpoint is taken
    #[arg(required = true, value_name = "CHECKPOINT")]
    checkpoints: Vec<PathBuf>,
    /// Images, as for `train` [default: those it was trained on]
    #[arg(long, value_name = "SOURCE", value_parser = source_parser(), help_heading = DATA)]
    data: Option<Source>,
    /// Images in a step
    #[arg(long, default_value_t = 100, help_heading = EVALUATION)]
    batch: usize,
    /// At most so many images
    #[arg(long, value_name = "IMAGES", help_heading = DATA)]
    limit: Option<usize>,
    /// Refuse images of more pixels, before they are decoded
    #[arg(long, value_name = "PIXELS", default_value_t = MAX_PIXELS, help_heading = DATA)]
    max_pixels: u64,
    /// Match the classes of the data with those of the checkpoint by their names, or by their place in the order of
    /// each
    #[arg(long, value_name = "by-name|by-position", default_value_t, help_heading = DATA)]
    classes: ClassMatching,
    /// Average over views of each image too (test-time augmentation)
    ///
    /// With `flip`, which is what --tta alone means, the image and its mirror image; with `crop=N`, the image and its
    /// four crops at the corners of a border of N black pixels; with `flip,crop=N`, these five and their mirror images.
    /// Mirroring is for classes that look the same in a mirror, which digits and letters do not.
    #[arg(long, value_name = "flip,crop=N", num_args = 0..=1, default_missing_value = "flip",
        value_parser = parse_views, help_heading = EVALUATION)]
    tta: Option<Views>,
    /// Let decoded images take so much memory, such as 512M; of larger sets, read images when they are needed [default:
    /// half of the memory that is free]
    #[arg(long, value_name = "SIZE", help_heading = DATA)]
    data_memory: Option<MemorySize>,
    /// Write evaluation.json to this folder, and pictures of it as SVG and PNG files
    ///
    /// The confusion of the classes, how far probabilities can be trusted, the wrong images that the model is most sure of,
    /// and the filters of its first layer. A run folder has those of its own end.
    #[arg(long, value_name = "DIR", help_heading = EVALUATION)]
    pictures: Option<PathBuf>,
    /// With --pictures: how large the weights of each layer are and the gradients that reach them, as norms.csv and a picture
    ///
    /// Of one checkpoint, by the cross-entropy of a batch of the images. Where gradients fall by orders of magnitude from the
    /// last layer to the first, they vanish.
    #[arg(long, requires = "pictures", help_heading = EVALUATION)]
    norms: bool,
    #[command(flatten)]
    images: ImageOptions,
    #[command(flatten)]
    pub place: Place,
}

/// Heading of the help.
const EVALUATION: &str = "Evaluation";

/// Classes beyond which the confusion matrix is not printed.
const MOST_CLASSES: usize = 20;

/// Pairs of classes that are told.
const MOST_CONFUSED: usize = 12;

impl Eval {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        if self.batch == 0 {
            return Err(CliError::usage("--batch is 0, but must be at least 1"));
        }
        if self.norms && self.checkpoints.len() > 1 {
            return Err(CliError::usage("--norms is of one checkpoint: give one at a time"));
        }
        let paths: Vec<PathBuf> = self.checkpoints.iter().map(|path| checkpoint_file(path)).collect();
        let reporter = global.reporter();
        let reading = global.activity.enter(Stage::Reading, 0);
        let Eval { limit, max_pixels, classes, data_memory: memory, .. } = *self;
        let data =
            TestData { source: self.data.clone(), limit, max_pixels, classes, asked: self.images.asked()?, memory };
        let ensemble = Ensemble::read(&paths, &data)?;
        ensemble.notes().iter().for_each(|note| global.note(note));
        drop(reading);
        // Every member sets its own parameters, and none starts from this seed.
        let device = global.training_device(global.tuned.as_deref(), Precision::F32)?;
        let found = ensemble.evaluate(&device, self.batch, self.tta.unwrap_or_default())?;
        drop(reporter);
        let whole = &found.whole;
        if let Some(folder) = &self.pictures {
            self.draw(folder, &ensemble, whole)?;
            if let (true, Some(images), [path]) = (self.norms, ensemble.images(), &paths[..]) {
                let norms = layer_norms(&load_checkpoint(path)?, path, images, self.batch, &device)?;
                write_norms(&norms, folder)?;
            }
        }
        say_confusion(global, &whole.confusion, ensemble.classes());
        say_classes(global, whole, ensemble.classes());
        say_confused(global, whole, ensemble.classes());
        let together = match paths.len() {
            1 => String::new(),
            several => format!(", {several} checkpoints together"),
        };
        if !together.is_empty() {
            for (path, member) in paths.iter().zip(&found.members) {
                global.say(format_args!("{}: {}", path.display(), figures(member)));
            }
        }
        global.say(format_args!("{} images{together}: {}", whole.images, figures(whole)));
        let members = paths.iter().zip(&found.members).map(|(path, member)| {
            json!({
                "checkpoint": path.display().to_string(),
                "test_accuracy": member.top1,
                "balanced_accuracy": member.balanced_accuracy(),
                "top5": member.top5,
                "test_loss": member.loss,
            })
        });
        let classes = ensemble.classes().iter().zip(whole.class_scores()).map(|(class, score)| {
            let ClassScore { precision, recall, f1, support } = score;
            json!({ "class": class, "precision": precision, "recall": recall, "f1": f1, "support": support })
        });
        let confused = whole.most_confused(MOST_CONFUSED).into_iter().map(|pair| {
            let [truth, predicted] = [pair.truth, pair.predicted].map(|class| &ensemble.classes()[class]);
            json!({ "class": truth, "taken_for": predicted, "images": pair.images, "share": pair.share })
        });
        let run = if let [path] = &paths[..] { path.parent() } else { None };
        global.result(&json!({
            "test_accuracy": whole.top1,
            "balanced_accuracy": whole.balanced_accuracy(),
            "top5": whole.top5,
            "test_loss": whole.loss,
            "images": whole.images,
            "images_per_second": whole.images as f64 / found.seconds.max(1e-9),
            "seconds": found.seconds,
            "run": run.map(|run| run.display().to_string()),
            "members": members.collect::<Vec<_>>(),
            "calibration_error": whole.calibration_error,
            "calibration": whole.calibration,
            "confusion": whole.confusion,
            "most_confused": confused.collect::<Vec<_>>(),
            "classes": classes.collect::<Vec<_>>(),
            "pictures": self.pictures.as_deref().map(lossy),
        }));
        Ok(())
    }

    fn draw(&self, folder: &Path, ensemble: &Ensemble, whole: &Evaluation) -> Result<(), CliError> {
        make_folder(folder)?;
        let checkpoints: Vec<String> = self.checkpoints.iter().map(|path| lossy(path)).collect();
        let images = ensemble.images();
        let name = images.map_or("", |images| images.name.as_str());
        let record = Record::new(&ensemble.models(), checkpoints.join(", "), name, ensemble.classes(), whole);
        Findings { record, images, filters: ensemble.filters()? }.write(folder)?;
        Ok(())
    }
}

/// What `--tta` takes.
fn parse_views(text: &str) -> Result<Views, String> {
    let mut views = Views::default();
    for word in text.split(',') {
        let crop = word.strip_prefix("crop=").and_then(|pixels| pixels.parse().ok());
        match (word, crop) {
            ("flip", _) => views.flip = true,
            (_, Some(pixels)) if pixels > 0 => views.crop = pixels,
            _ => return Err("write flip, crop=4 or flip,crop=4; checkpoints come before a --tta alone".to_owned()),
        }
    }
    Ok(views)
}

fn say_confusion(global: &Global, confusion: &[Vec<usize>], classes: &[String]) {
    if classes.len() > MOST_CLASSES {
        return;
    }
    let width = classes.iter().map(|class| class.chars().count()).max().unwrap_or(0).max(6);
    let cells = |cells: Vec<String>| cells.iter().map(|cell| format!(" {cell:>width$}")).collect::<String>();
    global.say("rows: true class, columns: predicted class");
    global.say(format_args!("{:>width$}{}", "", cells(classes.to_vec())));
    for (class, row) in classes.iter().zip(confusion) {
        global.say(format_args!("{class:>width$}{}", cells(row.iter().map(usize::to_string).collect())));
    }
}

/// How well each class is told, where they are few.
fn say_classes(global: &Global, found: &Evaluation, classes: &[String]) {
    if classes.len() > MOST_CLASSES {
        return;
    }
    let mut table = Table::new(["class", "precision, %", "recall, %", "F1, %", "images"]);
    for (class, score) in classes.iter().zip(found.class_scores()) {
        let shares = [score.precision, score.recall, score.f1].map(|share| format!("{:.2}", 100.0 * share));
        table.row([class.clone()].into_iter().chain(shares).chain([score.support.to_string()]));
    }
    global.say(table.to_markdown());
}

/// Which classes are taken for which, where the matrix is too large to be read.
fn say_confused(global: &Global, found: &Evaluation, classes: &[String]) {
    let pairs = found.most_confused(MOST_CONFUSED);
    if classes.len() <= MOST_CLASSES || pairs.is_empty() {
        return;
    }
    let mut table = Table::new(["most often confused", "taken for", "images", "of the class, %"]);
    for pair in pairs {
        let [truth, predicted] = [pair.truth, pair.predicted].map(|class| classes[class].clone());
        table.row([truth, predicted, pair.images.to_string(), format!("{:.2}", 100.0 * pair.share)]);
    }
    global.say(table.to_markdown());
}

fn figures(found: &Evaluation) -> String {
    format!(
        "top-1 {:.2} %, balanced over the classes {:.2} %, top-5 {:.2} %, loss {:.4}, calibration error {:.2} %",
        100.0 * found.top1,
        100.0 * found.balanced_accuracy(),
        100.0 * found.top5,
        found.loss,
        100.0 * found.calibration_error
    )
}

/// The file itself, or a run folder's last checkpoint.
pub(super) fn checkpoint_file(path: &Path) -> PathBuf {
    if path.is_dir() { RunFolder::checkpoint(path) } else { path.to_owned() }
}
