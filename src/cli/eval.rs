//! `tilewright eval`: accuracy of a checkpoint on a data set.

use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;
use tilewright::data::Source;
use tilewright::train::{Batch, Evaluation, Evaluator, RunFolder, load_checkpoint};

/// Measure a checkpoint: top-1, top-5, loss and confusion matrix on the test images
#[derive(Args)]
pub struct Eval {
    /// A checkpoint, or a run folder whose last checkpoint is taken
    checkpoint: PathBuf,
    /// Images, as for `train` [default: those it was trained on]
    #[arg(long, value_name = "SOURCE")]
    data: Option<Source>,
    /// Images in a step
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// At most so many images
    #[arg(long, value_name = "IMAGES")]
    limit: Option<usize>,
}

/// Classes beyond which the confusion matrix is not printed.
const MOST_CLASSES: usize = 20;

impl Eval {
    pub fn run(&self, global: &Global) -> Result<(), CliError> {
        if self.batch == 0 {
            return Err(CliError::usage("--batch is 0, but must be at least 1"));
        }
        let path = checkpoint_file(&self.checkpoint);
        let checkpoint = load_checkpoint(&path)?;
        let header = &checkpoint.header;
        let [channels, height, width] = header.input;
        let mut options = header.config.load_options(channels);
        options.size = Some((height, width));
        options.limit = self.limit;
        if header.without_data && self.data.is_none() {
            return Err(CliError::usage(format!("`{}` was imported: say on which --data", path.display())));
        }
        let source = self.data.as_ref().unwrap_or(&header.config.data);
        let test = source.load(&options)?.test;
        if test.classes.len() != header.classes.len() {
            return Err(CliError::failed(format!(
                "`{}` tells {} classes apart, but {source} has {}",
                path.display(),
                header.classes.len(),
                test.classes.len()
            )));
        }
        let mut engine = global.training_engine(header.config.seed, global.tuned.as_deref())?;
        let shape = [self.batch.min(test.len().max(1)), channels, height, width];
        let batch = Batch { shape, classes: header.classes.len() };
        let mut evaluator = Evaluator::of(&checkpoint, &path, batch, &mut engine)?;
        let begin = Instant::now();
        let result = evaluator.evaluate(&mut engine, &test, &header.normalization)?;
        let seconds = begin.elapsed().as_secs_f64();
        print(global, &result, &header.classes);
        global.result(&json!({
            "test_accuracy": result.top1,
            "top5": result.top5,
            "test_loss": result.loss,
            "images": result.images,
            "images_per_second": result.images as f64 / seconds.max(1e-9),
            "seconds": seconds,
            "run": path.parent(),
            "confusion": result.confusion,
        }));
        Ok(())
    }
}

fn print(global: &Global, result: &Evaluation, classes: &[String]) {
    if classes.len() <= MOST_CLASSES {
        let width = classes.iter().map(|class| class.chars().count()).max().unwrap_or(0).max(6);
        let cells = |cells: Vec<String>| cells.iter().map(|cell| format!(" {cell:>width$}")).collect::<String>();
        global.say("rows: true class, columns: predicted class");
        global.say(format_args!("{:>width$}{}", "", cells(classes.to_vec())));
        for (class, row) in classes.iter().zip(&result.confusion) {
            global.say(format_args!("{class:>width$}{}", cells(row.iter().map(usize::to_string).collect())));
        }
    }
    global.say(format_args!(
        "{} images: top-1 {:.2} %, top-5 {:.2} %, loss {:.4}",
        result.images,
        100.0 * result.top1,
        100.0 * result.top5,
        result.loss
    ));
}

/// The file itself, or a run folder's last checkpoint.
pub fn checkpoint_file(path: &std::path::Path) -> PathBuf {
    if path.is_dir() { RunFolder::checkpoint(path) } else { path.to_owned() }
}
