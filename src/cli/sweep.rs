//! `tilewright sweep`: a search over settings.

use super::interrupt::on_interrupt;
use super::place::Place;
use super::rows::{Given, OfPace};
use super::settings::CHOSEN_ON_TEST;
use super::settings::{Settings, names_of};
use super::{CliError, Global};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use tilewright::activity::Stage;
use tilewright::path_text::lossy;
use tilewright::recipe::Precision;
use tilewright::report::Table;
use tilewright::train::Reporter;
use tilewright::train::sweep::{self, Search, SweepConfig, SweepOutcome, Trial, TrialResult};

/// Search over settings: a grid of values, or random draws, whole or with successive halving
///
/// NAME is that of a setting in a recipe, such as lr, batch, epochs, seed, optimizer, schedule, label_smoothing or
/// clip_grad_norm; `optimizer.NAME` is an attribute of the optimizer, `set.NAME` one of the model. Every other option
/// says what all trials have in common.
#[derive(Args)]
pub(super) struct Sweep {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    pace: Given<OfPace>,
    /// Try each of these values with each of the other settings'; may be given again
    ///
    /// Such as `--grid lr=1e-3,1e-2 --grid optimizer=adam,sgd:momentum=0.9`, which makes four trials.
    #[arg(long, value_name = "NAME=VALUE,...", conflicts_with = "random", help_heading = SEARCH)]
    grid: Vec<String>,
    /// Draw from these values, or from a range such as `lr=log:1e-4..1e-1`; may be given again
    ///
    /// `label_smoothing=0..0.2` draws evenly, `log:` evenly in the logarithm. The seed is that of the runs.
    #[arg(long, value_name = "NAME=VALUES", requires = "trials", help_heading = SEARCH)]
    random: Vec<String>,
    /// With --random: so many trials
    #[arg(long, help_heading = SEARCH)]
    trials: Option<usize>,
    /// Successive halving: of so many trials only the best goes on to so many times as many epochs
    ///
    /// Trials begin with a few epochs, and the last have all of them.
    #[arg(long, value_name = "FACTOR", help_heading = SEARCH)]
    halving: Option<u64>,
    /// Folder of the sweep [default: runs/MODEL-sweep-1, or the next free number]
    #[arg(long, value_name = "DIR", help_heading = SEARCH)]
    out: Option<PathBuf>,
    /// Go on with the sweep in this folder
    #[arg(long, value_name = "FOLDER", help_heading = SEARCH,
        conflicts_with_all = ["grid", "random", "trials", "halving", "out"],
        conflicts_with_all = names_of::<Settings>(), conflicts_with_all = names_of::<Given<OfPace>>())]
    resume: Option<PathBuf>,
    /// Write a line of JSON for each trial that is over to standard output, with --json's after the last
    ///
    /// Its keys are number, settings, epochs, test_accuracy, test_loss, validation_accuracy, validation_loss, seconds,
    /// status (done, halted or failed) and reason, with null for what is not measured.
    #[arg(long, help_heading = "Output")]
    pub json_lines: bool,
    #[command(flatten)]
    pub place: Place,
}

/// Heading of the help.
const SEARCH: &str = "Search";

/// Rows of the table at the end.
const MOST_ROWS: usize = 50;

impl Sweep {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let mut reporter = global.reporter();
        let reading = global.activity.enter(Stage::Reading, 0);
        let mut sweep = match &self.resume {
            Some(_) if global.tuned.is_some() => {
                return Err(CliError::usage("`--resume` goes on with the sweep's own kernels: leave `--tuned` out"));
            }
            Some(folder) => sweep::Sweep::read(folder)?,
            None => sweep::Sweep::new(self.config(global)?)?,
        };
        drop(reading);
        let of = |trial: &Trial| trial.config.precision;
        let half = sweep.trials().iter().map(of).find(|&precision| precision == Precision::F16);
        let device = global.training_device(sweep.config().tuned.as_deref(), half.unwrap_or_default())?;
        let folder = match &self.resume {
            Some(folder) => folder.clone(),
            None => sweep.create(self.out.as_deref())?,
        };
        let stop = on_interrupt()?;
        reporter.note(&format!("{}; with {}; folder {}", sweep.describe(), device.name(), folder.display()));
        let outcome = sweep.run(&device, &folder, &stop, &mut reporter)?;
        drop(reporter);
        tell(global, sweep.trials(), &outcome, &folder);
        Ok(())
    }

    fn config(&self, global: &Global) -> Result<SweepConfig, CliError> {
        let mut config = self.settings.config()?;
        self.pace.set(&mut config)?;
        config.tuned = global.tuned.clone().or(config.tuned);
        let (search, settings) = match self.random.is_empty() {
            true => (Search::Grid, &self.grid),
            false => (Search::Random, &self.random),
        };
        Ok(SweepConfig { search, settings: settings.clone(), trials: self.trials, halving: self.halving, config })
    }
}

/// The best trials, and how to train the very best again.
fn tell(global: &Global, trials: &[Trial], outcome: &SweepOutcome, folder: &Path) {
    let SweepOutcome { results, ranking } = outcome;
    let names = trials.iter().take(1).flat_map(|trial| trial.settings.iter().map(|(name, _)| name.as_str()));
    let has_validation = results.iter().any(|result| result.validation_accuracy.is_some());
    let on = if has_validation { "validation" } else { "test" };
    let mut table = Table::new(["trial"].into_iter().chain(names).chain([
        "epochs",
        &format!("{on} accuracy, %"),
        &format!("{on} loss"),
        "seconds",
        "status",
    ]));
    for &number in ranking.iter().take(MOST_ROWS) {
        let (trial, result) = (&trials[number - 1], &results[number - 1]);
        let mut row = vec![number.to_string()];
        row.extend(trial.settings.iter().map(|(_, value)| sweep::text(value)));
        row.extend([
            result.epochs.to_string(),
            result.accuracy().map_or(String::new(), |accuracy| format!("{:.2}", 100.0 * accuracy)),
            result.loss().map_or(String::new(), |loss| format!("{loss:.4}")),
            format!("{:.1}", result.seconds),
            result.status.to_string(),
        ]);
        table.row(row);
    }
    global.say(table.to_markdown());
    let left_out = ranking.len().saturating_sub(MOST_ROWS);
    if left_out > 0 {
        global.say(format_args!("and {left_out} more, all of them in {}/trials.csv", folder.display()));
    }
    let failed = results.len() - ranking.len();
    if failed > 0 {
        global.say(format_args!(
            "{failed} of {} trials failed: {}/trials.csv has why",
            results.len(),
            folder.display()
        ));
    }
    let best = ranking.first().map(|&number| (&trials[number - 1], &results[number - 1]));
    if let Some((trial, result)) = best {
        let run = sweep::Sweep::run_folder(folder, trial.number);
        global.say(format_args!(
            "best: trial {}, {}, with a {on} accuracy of {:.2} % ({})",
            trial.number,
            trial.describe(),
            100.0 * result.accuracy().unwrap_or_default(),
            run.display()
        ));
        match result.test_accuracy {
            Some(accuracy) if has_validation => {
                global.say(format_args!("its test accuracy is {:.2} %", 100.0 * accuracy))
            }
            _ => global.say(CHOSEN_ON_TEST),
        }
        global.say(format_args!("train it again: tilewright train --recipe {}/config.toml", run.display()));
    }
    global.result(&json!({
        "best": best.map(|(trial, result)| json!({
            "number": trial.number,
            "settings": settings(trial),
            "test_accuracy": result.test_accuracy,
            "test_loss": result.test_loss,
            "validation_accuracy": result.validation_accuracy,
            "validation_loss": result.validation_loss,
            "run": lossy(&sweep::Sweep::run_folder(folder, trial.number)),
        })),
        "trials": trials.iter().zip(results).map(|(trial, result)| trial_json(trial, result)).collect::<Vec<_>>(),
        "folder": lossy(folder),
    }));
}

fn settings(trial: &Trial) -> Map<String, Value> {
    trial.settings.iter().cloned().collect()
}

pub(super) fn trial_json(trial: &Trial, result: &TrialResult) -> Value {
    json!({
        "number": trial.number,
        "settings": settings(trial),
        "epochs": result.epochs,
        "test_accuracy": result.test_accuracy,
        "test_loss": result.test_loss,
        "validation_accuracy": result.validation_accuracy,
        "validation_loss": result.validation_loss,
        "seconds": result.seconds,
        "status": result.status,
        "reason": result.reason,
    })
}
