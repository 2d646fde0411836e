//! `tilewright train`: trains a model, or goes on with a run.

use super::interrupt::on_interrupt;
use super::place::Place;
use super::rows::{Given, OfPace, OfRun};
use super::settings::{CHOSEN_ON_TEST, Settings, names_of};
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tilewright::path_text::lossy;
use tilewright::recipe::TrainConfig;
use tilewright::train::{Reporter, RunFolder, Trainer};

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
    /// With other --epochs, --lr, --schedule or --checkpoint-every, if they are given.
    #[arg(long, value_name = "RUN", help_heading = "Run", conflicts_with = "run",
        conflicts_with_all = names_of::<Settings>())]
    resume: Option<PathBuf>,
    /// Write a line of JSON for each epoch to standard output, with --json's after the last
    ///
    /// Its keys are the columns of the run folder's epochs.csv: epoch, train_loss, train_accuracy, test_loss,
    /// test_accuracy, images_per_second, seconds, validation_loss, validation_accuracy, skipped_steps and loss_scale, with
    /// null for what is not measured.
    #[arg(long, help_heading = "Output")]
    pub json_lines: bool,
    #[command(flatten)]
    pub place: Place,
}

impl Train {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let mut reporter = global.reporter();
        let mut trainer = match &self.resume {
            Some(run) => {
                if global.tuned.is_some() {
                    return Err(CliError::usage("`--resume` goes on with the run's own kernels: leave `--tuned` out"));
                }
                let config = RunFolder::config(run)?;
                let tuned = config.tuned.as_ref().map(|_| RunFolder::tuned(run));
                let changes = self.pace.changes(&self.kept)?;
                let device = global.training_device(tuned.as_deref(), config.precision)?;
                Trainer::resume(run, &device, &changes)?
            }
            None => {
                let mut config = self.config()?;
                config.tuned = global.tuned.clone().or(config.tuned);
                let device = global.training_device(config.tuned.as_deref(), config.precision)?;
                Trainer::create(config, &device, self.run.as_deref())?
            }
        };
        trainer.stop_on(on_interrupt()?);
        reporter.note(&trainer.describe());
        let outcome = trainer.run(&mut reporter)?;
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
            "best_chosen_on": if validation.is_some() { "validation" } else { "test" },
            "train_accuracy": outcome.train_accuracy,
            "skipped_steps": outcome.skipped_steps,
            "images_per_second": outcome.images_per_second,
            "seconds": outcome.seconds,
            "run": lossy(&outcome.run),
        }));
        Ok(())
    }

    /// The given recipe or the model's own, with what the command line says.
    fn config(&self) -> Result<TrainConfig, CliError> {
        let mut config = self.settings.config()?;
        self.pace.set(&mut config)?;
        self.kept.set(&mut config)?;
        config.validate()?;
        Ok(config)
    }
}
