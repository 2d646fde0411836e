//! `tilewright train`: trains a model, or goes on with a run.

use super::device_list::{DeviceList, own_devices};
use super::duration::parse_duration;
use super::interrupt::on_interrupt;
use super::members::{self, Group, PATIENCE};
use super::overfit::overfit;
use super::place::Place;
use super::rows::{Given, OfPace, OfRun};
use super::settings::{CHOSEN_ON_TEST, Settings, names_of_fixed};
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tilewright::path_text::lossy;
use tilewright::recipe::{Precision, TrainConfig};
use tilewright::session::Device;
use tilewright::train::{Overfit, Reporter, RunFolder, Silent, TrainError, Trainer, read_data};

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
    /// Train on several devices at once: their numbers or names with commas between them, or `all` of the first one's kind
    ///
    /// A device may stand there more than once. Each runs its part of the shards that --shards cuts a batch into.
    #[arg(
        long,
        value_name = "DEVICE,...",
        help_heading = "Device",
        conflicts_with = "device",
        conflicts_with = "overfit"
    )]
    devices: Option<DeviceList>,
    /// Under MPI: end the run when another process has said nothing for so long [default: 10m]
    ///
    /// Longer than the first process takes for a test and for its checkpoint, for which the others wait.
    #[arg(long, value_name = "TIME", help_heading = "Run", value_parser = parse_duration)]
    member_timeout: Option<Duration>,
    #[command(flatten)]
    pub place: Place,
}

impl Train {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let begin = Instant::now();
        if let Some(images) = self.overfit {
            return self.learn_by_heart(images, global);
        }
        members::run(global, self.member_timeout.unwrap_or(PATIENCE), |group, global| match group {
            Some(group) if group.rank > 0 => self.follow(group, global),
            group => self.lead(group, global, begin),
        })
    }

    /// What another process trains with the one that leads.
    fn follow(&self, group: &Group, global: &Global) -> Result<(), CliError> {
        let config = match &self.resume {
            Some(run) => RunFolder::config(run)?,
            None => self.config(global)?,
        };
        let tuned = match &self.resume {
            Some(run) => config.tuned.as_ref().map(|_| RunFolder::tuned(run)),
            None => config.tuned.clone(),
        };
        let names = own_devices(self.devices.as_ref(), Some(group), &global.device)?;
        let device = global.training_device_named(&names[0], tuned.as_deref(), config.precision)?;
        let splits = read_data(&config, &global.activity)?;
        let mut trainer = Trainer::follow(Arc::clone(&group.members), splits, &device)?;
        trainer.stop_on(on_interrupt()?);
        match trainer.run(&mut Silent) {
            Ok(_) | Err(TrainError::TimeOver { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn lead(&self, group: Option<&Group>, global: &Global, begin: Instant) -> Result<(), CliError> {
        let mut reporter = global.reporter();
        let devices = own_devices(self.devices.as_ref(), group, &global.device)?;
        let world = group.map_or(devices.len(), |group| group.world);
        let open = |tuned: Option<&Path>, precision: Precision| -> Result<Vec<Device>, CliError> {
            devices.iter().map(|device| global.training_device_named(device, tuned, precision)).collect()
        };
        let (mut trainer, others) = match &self.resume {
            Some(run) => {
                if global.tuned.is_some() {
                    return Err(CliError::usage("`--resume` goes on with the run's own kernels: leave `--tuned` out"));
                }
                let config = RunFolder::config(run)?;
                let tuned = config.tuned.as_ref().map(|_| RunFolder::tuned(run));
                let mut changes = self.pace.changes(&self.kept)?;
                self.settings.change(&mut changes)?;
                let mut devices = open(tuned.as_deref(), config.precision)?;
                let others = devices.split_off(1);
                (Trainer::resume(run, &devices[0], &changes)?, others)
            }
            None => {
                let mut config = self.config(global)?;
                if world > 1 {
                    config.shards.get_or_insert(world);
                }
                let mut devices = open(config.tuned.as_deref(), config.precision)?;
                let others = devices.split_off(1);
                (Trainer::create(config, &devices[0], self.run.as_deref())?, others)
            }
        };
        trainer = match group {
            Some(group) => trainer.leading(Arc::clone(&group.members))?,
            None => trainer.together_with(others)?,
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
        if world > 1 {
            global.say(format_args!(
                "{world} members; {:.0} % of the time of the steps went into the exchange of their sums",
                100.0 * outcome.exchange
            ));
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
            "members": world,
            "exchange": outcome.exchange,
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
