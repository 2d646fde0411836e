//! `tilewright train`: trains a model, or goes on with a run.

use super::duration::parse_duration;
use super::interrupt::on_interrupt;
use super::overfit::overfit;
use super::place::Place;
use super::rows::{Given, OfPace, OfRun};
use super::settings::{CHOSEN_ON_TEST, Settings, names_of_fixed};
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tilewright::path_text::lossy;
use tilewright::recipe::TrainConfig;
use tilewright::train::{Overfit, Reporter, RunFolder, TrainError, Trainer};

/// Train a model; with no arguments: LeNet-5 on the bundled MNIST sample
#[derive(Args)]
pub(super) struct Train {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    pace: Given<OfPace>,
    #[command(flatten)]
    kept: Given<OfRun>,
    /// Folder of the run [default: runs/MODEL-1, or the next free number]
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    run: Option<PathBuf>,
    /// Go on with the run in this folder from its last checkpoint
    ///
    /// With other --epochs, --lr, --schedule, --patience, --min-delta, --checkpoint-every, --data-memory or --recompute, if
    /// they are given.
    #[arg(long, value_name = "RUN", help_heading = "Run", conflicts_with = "run",
        conflicts_with_all = names_of_fixed())]
    resume: Option<PathBuf>,
    /// Stop after so long, such as 30m or 1h30m, with a checkpoint from which --resume goes on
    ///
    /// The command then ends with status 0. Time is counted from its start, and a step or test that runs is ended first.
    #[arg(long, value_name = "TIME", help_heading = "Run", value_parser = parse_duration)]
    max_time: Option<Duration>,
    /// Instead of a run: see whether so many images are learned by heart, as a check of all that training needs
    ///
    /// Trains at --lr throughout until the loss is near 0, on images of all classes in turn, with no random changes, no
    /// dropout and no smoothing, and keeps nothing. Says what came of it, and ends with status 1 where the images are not
    /// learned after --epochs passes, or 500.
    #[arg(long, value_name = "IMAGES", help_heading = "Run", conflicts_with_all = ["run", "resume", "max_time"])]
    overfit: Option<usize>,
    /// Write a line of JSON for each epoch to standard output, with --json's after the last
    ///
    /// Its keys are the columns of the run folder's epochs.csv: epoch, train_loss, train_accuracy, test_loss,
    /// test_accuracy, images_per_second, seconds, validation_loss, validation_accuracy, skipped_steps, loss_scale and
    /// data_wait, with null for what is not measured.
    #[arg(long, help_heading = "Output")]
    pub json_lines: bool,
    #[command(flatten)]
    pub place: Place,
}

impl Train {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let begin = Instant::now();
        if let Some(images) = self.overfit {
            return self.learn_by_heart(images, global);
        }
        let mut reporter = global.reporter();
        let mut trainer = match &self.resume {
            Some(run) => {
                if global.tuned.is_some() {
                    return Err(CliError::usage("`--resume` goes on with the run's own kernels: leave `--tuned` out"));
                }
                let config = RunFolder::config(run)?;
                let tuned = config.tuned.as_ref().map(|_| RunFolder::tuned(run));
                let mut changes = self.pace.changes(&self.kept)?;
                self.settings.change(&mut changes)?;
                let device = global.training_device(tuned.as_deref(), config.precision)?;
                Trainer::resume(run, &device, &changes)?
            }
            None => {
                let config = self.config(global)?;
                let device = global.training_device(config.tuned.as_deref(), config.precision)?;
                Trainer::create(config, &device, self.run.as_deref())?
            }
        };
        trainer.stop_on(on_interrupt()?);
        // A time beyond what a clock counts is none.
        if let Some(deadline) = self.max_time.and_then(|time| begin.checked_add(time)) {
            trainer.stop_at(deadline);
        }
        reporter.note(&trainer.describe());
        let outcome = match trainer.run(&mut reporter) {
            Err(over @ TrainError::TimeOver { .. }) => {
                drop(reporter);
                return tell_over(over, global);
            }
            outcome => outcome?,
        };
        drop(reporter);
        let (test, validation) = (outcome.test.unwrap_or_default(), outcome.validation);
        match &validation {
            Some(_) => global.say(format_args!(
                "validation accuracy {:.2} % of the best checkpoint, which alone the test images have seen",
                100.0 * outcome.best_accuracy
            )),
            None => global.note(CHOSEN_ON_TEST),
        }
        if let Some(steps) = outcome.skipped_steps {
            global.say(format_args!("{steps} steps skipped, since gradients were not finite"));
        }
        if let Some(class) = test.only_prediction() {
            global.note(format_args!(
                "every test image is taken for `{}`: nothing is told apart",
                trainer.classes()[class]
            ));
        }
        global.say(format_args!(
            "test accuracy {:.2} %, balanced over the classes {:.2} %; best epoch {} with a {} accuracy of {:.2} % ({} in \
             {:.1} s, {:.0} images/s)",
            100.0 * test.top1,
            100.0 * test.balanced_accuracy(),
            outcome.best_epoch,
            if validation.is_some() { "validation" } else { "test" },
            100.0 * outcome.best_accuracy,
            outcome.run.display(),
            outcome.seconds,
            outcome.images_per_second
        ));
        global.result(&json!({
            "test_accuracy": test.top1,
            "balanced_accuracy": test.balanced_accuracy(),
            "test_loss": test.loss,
            "validation_accuracy": validation.as_ref().map(|validation| validation.top1),
            "validation_loss": validation.as_ref().map(|validation| validation.loss),
            "best_accuracy": outcome.best_accuracy,
            "best_epoch": outcome.best_epoch,
            "stopped_early": outcome.stopped_early,
            "best_chosen_on": if validation.is_some() { "validation" } else { "test" },
            "train_accuracy": outcome.train_accuracy,
            "skipped_steps": outcome.skipped_steps,
            "images_per_second": outcome.images_per_second,
            "data_wait": outcome.data_wait,
            "seconds": outcome.seconds,
            "run": lossy(&outcome.run),
        }));
        Ok(())
    }

    fn learn_by_heart(&self, images: usize, global: &Global) -> Result<(), CliError> {
        let config = self.config(global)?;
        let mut wanted = Overfit::on(images);
        if self.pace.has("epochs") {
            wanted.epochs = config.epochs;
        }
        let device = global.training_device(config.tuned.as_deref(), config.precision)?;
        overfit(wanted, &config, &device, global)
    }

    /// The given recipe or the model's own, with what the command line says.
    fn config(&self, global: &Global) -> Result<TrainConfig, CliError> {
        let mut config = self.settings.config()?;
        config.tuned = global.tuned.clone().or(config.tuned);
        self.pace.set(&mut config)?;
        self.kept.set(&mut config)?;
        config.validate()?;
        Ok(config)
    }
}

/// Tells of a run that was given so long and no longer: it has done what it was asked to.
fn tell_over(over: TrainError, global: &Global) -> Result<(), CliError> {
    global.say(&over);
    if let TrainError::TimeOver { run, steps } = over {
        global.result(&json!({ "stopped": "max_time", "steps": steps, "run": lossy(&run) }));
    }
    Ok(())
}
