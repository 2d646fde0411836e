//! A search over the settings of a run: a grid of values, or random draws (Bergstra and Bengio 2012), each trial
//! trained whole, or, with successive halving, only the best.
//!
//! The folder of a sweep has `sweep.toml`, the definition; `trials.csv`, a row for each trial that has begun;
//! `sweep.svg`, its picture; and the run folder of each trial, `trial-1`, `trial-2`, ... The table says what is done,
//! and a trial's checkpoint how far it is: [`Sweep::run`] goes on from there, and the end is the same.

mod axis;
mod chart;
mod error;
mod halving;
mod setting;
mod table;
mod trial;

pub use axis::{Axis, Space};
pub use error::SweepError;
pub use halving::Rung;
pub use setting::{SweepSetting, text};
pub use table::{Status, TrialResult};
pub use trial::Trial;

use super::run_folder::{make_folder, write_picture, write_whole};
use super::run_lock::RunLock;
use super::start::read_data;
use super::{Evaluation, Outcome, Reporter, RunFolder, TrainError, Trainer};
use crate::activity::Activity;
use crate::data::Splits;
use crate::gpu::GpuError;
use crate::models;
use crate::recipe::TrainConfig;
use crate::session::{Device, SessionError};
use crate::setting::{BadSetting, Setting};
use crate::tuned::TunedTable;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The definition of a sweep, as it stands in `sweep.toml`.
///
/// ```
/// use tilewright::recipe::TrainConfig;
/// use tilewright::train::sweep::{Sweep, SweepConfig};
///
/// let config = TrainConfig { limit: Some(100), ..TrainConfig::default() };
/// let settings = vec!["lr=1e-3,1e-2".to_owned(), "optimizer=adam,sgd:momentum=0.9".to_owned()];
/// let sweep = Sweep::new(SweepConfig { settings, config, ..SweepConfig::default() })?;
/// assert_eq!(sweep.trials().len(), 4);
/// # Ok::<(), tilewright::train::sweep::SweepError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SweepConfig {
    /// Grid or random.
    pub search: Search,
    /// What is searched: `NAME=VALUE,VALUE`, and where the search is random `NAME=LOW..HIGH` or `NAME=log:LOW..HIGH`.
    pub settings: Vec<String>,
    /// Random trials; a grid has as many as it has.
    pub trials: Option<usize>,
    /// With the factor of successive halving, if any.
    pub halving: Option<u64>,
    /// What all trials have in common. Its seed is also that of the draws.
    pub config: TrainConfig,
}

/// How trials come from what is searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Search {
    /// Every value with every other; the last setting changes first.
    #[default]
    Grid,
    /// Values are drawn, as the sweep's seed says.
    Random,
}

/// A definition that has been checked, with its trials and its data.
pub struct Sweep {
    config: SweepConfig,
    axes: Vec<Axis>,
    trials: Vec<Trial>,
    rungs: Vec<Rung>,
    splits: Arc<Splits>,
}

/// What a sweep came to.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepOutcome {
    /// Of every trial, in their order.
    pub results: Vec<TrialResult>,
    /// Numbers of the trials that did not fail, the best first.
    pub ranking: Vec<usize>,
}

const DEFINITION: &str = "sweep.toml";
const TABLE: &str = "trials.csv";

impl Sweep {
    /// Checks a definition with every trial that comes of it, and reads the data.
    ///
    /// # Errors
    /// The first setting, value or option that cannot be used, or data that cannot be read.
    pub fn new(config: SweepConfig) -> Result<Sweep, SweepError> {
        config.config.validate().map_err(TrainError::from)?;
        let model = models::find(&config.config.model).map_err(TrainError::from)?;
        let parse = |text: &String| Axis::parse(text, config.search, model);
        let axes = config.settings.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        for (index, Axis { setting, .. }) in axes.iter().enumerate() {
            if let Some(text) = axes[..index].iter().position(|axis| axis.setting == *setting) {
                let rule = format!("given once, and `{}` gives it already", config.settings[text]);
                return Err(setting.refuse(&config.settings[index], rule));
            }
        }
        let trials = trial::trials(&config, &axes)?;
        let rungs = rungs(&config, &axes, trials.len())?;
        let splits = Arc::new(read_data(&config.config, &Activity::default())?);
        for trial in &trials {
            let refused = |reason| SweepError::Trial {
                number: trial.number,
                settings: trial.describe(),
                reason: Box::new(reason),
            };
            trial.check(&splits).map_err(refused)?;
        }
        Ok(Sweep { config, axes, trials, rungs, splits })
    }

    /// The sweep in `folder`, to go on with.
    ///
    /// # Errors
    /// When it is none, or its definition or data cannot be read.
    pub fn read(folder: &Path) -> Result<Sweep, SweepError> {
        let path = folder.join(DEFINITION);
        if !path.is_file() {
            return Err(SweepError::NotASweep { path: folder.to_owned() });
        }
        let unreadable = |reason: String| SweepError::Unreadable { path: path.clone(), reason };
        let text = crate::regular_file::read_to_string(&path).map_err(|reason| unreadable(reason.to_string()))?;
        let mut config: SweepConfig = toml::from_str(&text).map_err(|reason| unreadable(reason.to_string()))?;
        // The folder may have been moved.
        config.config.tuned = config.config.tuned.map(|_| RunFolder::tuned(folder));
        Sweep::new(config)
    }

    /// Makes the sweep's folder, `path` or the first free `runs/MODEL-sweep-1`, `-2`, ..., with its definition, and with a
    /// copy of the table of kernels, if it takes one.
    ///
    /// # Errors
    /// When the folder holds a sweep already, or cannot be written.
    pub fn create(&mut self, path: Option<&Path>) -> Result<PathBuf, SweepError> {
        if let Some(path) = path.filter(|path| path.join(DEFINITION).exists()) {
            let rule = format!("a new folder; {} goes on with what is there", Setting("resume").to(path.display()));
            return Err(BadSetting::new("out", path.display(), rule).into());
        }
        let folder = make_folder(path, &format!("{}-sweep", self.config.config.model))?;
        if let Some(table) = &self.config.config.tuned {
            let copy = RunFolder::tuned(&folder);
            TunedTable::read(table).and_then(|table| table.write(&copy)).map_err(TrainError::from)?;
            let configs = self.trials.iter_mut().map(|trial| &mut trial.config).chain([&mut self.config.config]);
            configs.for_each(|config| config.tuned = Some(copy.clone()));
        }
        let file = folder.join(DEFINITION);
        let text = toml::to_string(&self.config)
            .map_err(|reason| TrainError::Config { path: file.clone(), reason: reason.to_string() })?;
        write_whole(&file, text.as_bytes())?;
        Ok(folder)
    }

    /// What all trials have in common.
    pub fn config(&self) -> &TrainConfig {
        &self.config.config
    }

    /// In the order of their numbers.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// Where trials are halted; empty without halving.
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    /// The run folder of a trial.
    pub fn run_folder(folder: &Path, number: usize) -> PathBuf {
        folder.join(format!("trial-{number}"))
    }

    /// A line on what is searched, and how.
    pub fn describe(&self) -> String {
        let SweepConfig { search, settings, config, .. } = &self.config;
        let kind = match search {
            Search::Grid => "a grid",
            Search::Random => "random trials",
        };
        let rungs: Vec<String> =
            self.rungs.iter().map(|Rung { epochs, keep }| format!("{keep} beyond epoch {epochs}")).collect();
        let rungs = if rungs.is_empty() { String::new() } else { format!("; the best go on, {}", rungs.join(", ")) };
        format!(
            "{}, {} trials on {}: {kind} over {}{rungs}",
            config.model,
            self.trials.len(),
            self.splits.train.name,
            settings.join(" ")
        )
    }

    /// Trains the trials that are not at their end yet, each in a session of its own on `device`, and keeps what they
    /// came to in `folder`, which [`Sweep::create`] made. A trial that fails is noted with its reason, and the others go
    /// on. Once `stop` is true, the trial that runs leaves a checkpoint.
    ///
    /// # Errors
    /// When all trials fail, the device is lost, a file cannot be written, or the sweep is asked to stop.
    pub fn run(
        &self,
        device: &Device,
        folder: &Path,
        stop: &Arc<AtomicBool>,
        reporter: &mut dyn Reporter,
    ) -> Result<SweepOutcome, SweepError> {
        let _lock = RunLock::take(folder)?;
        let place = Place { device, folder, stop };
        self.splits.notes.iter().for_each(|note| reporter.note(note));
        let mut results = table::read(&folder.join(TABLE), &self.trials)?;
        let mut is_over: Vec<bool> = results.iter().map(TrialResult::is_over).collect();
        for rung in self.rungs.iter().copied().map(Some).chain([None]) {
            for (index, trial) in self.trials.iter().enumerate() {
                let epochs = rung.map_or(trial.config.epochs, |rung| rung.epochs);
                if results[index].is_over() || results[index].epochs >= epochs {
                    continue;
                }
                if stop.load(Ordering::Relaxed) {
                    return Err(self.stopped(folder, &results));
                }
                reporter.note(&format!("trial {} of {}: {}", trial.number, self.trials.len(), trial.describe()));
                match self.train(&place, trial, &mut results[index], epochs, reporter) {
                    Ok(()) => {
                        self.keep(folder, &results)?;
                        self.tell_ended(&results, &mut is_over, reporter);
                    }
                    Err(TrainError::Stopped { .. }) => {
                        self.keep(folder, &results)?;
                        return Err(self.stopped(folder, &results));
                    }
                    Err(reason) => {
                        if takes_device_along(&reason) {
                            fail(&mut results[index], &reason, reporter);
                            self.keep(folder, &results)?;
                        }
                        return Err(SweepError::Ended { folder: folder.to_owned(), reason: Box::new(reason) });
                    }
                }
            }
            if let Some(rung) = rung {
                let halted = halving::halt(&mut results, rung);
                reporter.note(&format!("{halted} of {} trials end with epoch {}", self.trials.len(), rung.epochs));
                self.keep(folder, &results)?;
                self.tell_ended(&results, &mut is_over, reporter);
            }
        }
        let ranking = ranking(&results);
        match ranking.is_empty() {
            false => Ok(SweepOutcome { results, ranking }),
            true => Err(SweepError::AllFailed {
                trials: results.len(),
                reason: results.into_iter().find_map(|result| result.reason).unwrap_or_default(),
                table: folder.join(TABLE),
            }),
        }
    }

    /// Tells of the trials that are over and were not before.
    fn tell_ended(&self, results: &[TrialResult], is_over: &mut [bool], reporter: &mut dyn Reporter) {
        for ((trial, result), is_over) in self.trials.iter().zip(results).zip(is_over) {
            if result.is_over() && !*is_over {
                reporter.end_trial(trial, result);
                *is_over = true;
            }
        }
    }

    /// Trains a trial until so many epochs are done, from where its run folder has come to, and notes what it came to.
    ///
    /// # Errors
    /// What is not the trial's own failure.
    fn train(
        &self,
        place: &Place<'_>,
        trial: &Trial,
        result: &mut TrialResult,
        epochs: u64,
        reporter: &mut dyn Reporter,
    ) -> Result<(), TrainError> {
        let mut is_over = false;
        let trained = self.trainer(place, trial).and_then(|mut trainer| {
            trainer.stop_on(Arc::clone(place.stop));
            let begin = Instant::now();
            let trained = trainer.run_to(epochs, reporter);
            result.seconds += begin.elapsed().as_secs_f64();
            result.epochs = trainer.epochs();
            is_over = trainer.is_over();
            // Of a trial that is stopped; one that comes to its end says more.
            match self.splits.validation.is_some() {
                true => (result.validation_accuracy, result.validation_loss) = trainer.last_decided().unzip(),
                false => (result.test_accuracy, result.test_loss) = trainer.last_decided().unzip(),
            }
            trained
        });
        match trained {
            Ok(Outcome { test, validation, .. }) => {
                let pair = |found: Option<Evaluation>| found.map(|found| (found.top1, found.loss)).unzip();
                (result.test_accuracy, result.test_loss) = pair(test);
                (result.validation_accuracy, result.validation_loss) = pair(validation);
                if is_over {
                    result.status = Status::Done;
                }
                Ok(())
            }
            Err(reason) if is_of_trial(&reason) => {
                fail(result, &reason, reporter);
                Ok(())
            }
            Err(reason) => Err(reason),
        }
    }

    /// The trial's run: the one in its folder, or a new one.
    fn trainer(&self, place: &Place<'_>, trial: &Trial) -> Result<Trainer, TrainError> {
        let splits = Arc::clone(&self.splits);
        let run = Sweep::run_folder(place.folder, trial.number);
        match RunFolder::config(&run) {
            Ok(config) => Trainer::resume_on(splits, &run, place.device, config),
            Err(TrainError::NotARun { .. }) => {
                Trainer::create_on(splits, trial.config.clone(), place.device, Some(&run))
            }
            Err(other) => Err(other),
        }
    }

    fn stopped(&self, folder: &Path, results: &[TrialResult]) -> SweepError {
        let ended = results.iter().filter(|result| result.is_over()).count();
        let best = ranking(results).first().map(|&number| {
            let accuracy = 100.0 * results[number - 1].accuracy().unwrap_or_default();
            format!("trial {number}, {}, with {accuracy:.2} %", self.trials[number - 1].describe())
        });
        SweepError::Stopped { folder: folder.to_owned(), ended, trials: results.len(), best }
    }

    /// Writes the table and the picture.
    fn keep(&self, folder: &Path, results: &[TrialResult]) -> Result<(), SweepError> {
        table::write(&folder.join(TABLE), &self.trials, results)?;
        let panels = chart::panels(&self.config.config.model, &self.axes, &self.trials, results);
        Ok(write_picture(&folder.join("sweep.svg"), &panels)?)
    }
}

/// What all trials of a run of the sweep share.
struct Place<'a> {
    device: &'a Device,
    folder: &'a Path,
    stop: &'a Arc<AtomicBool>,
}

/// The rungs of a definition with halving; none without.
fn rungs(config: &SweepConfig, axes: &[Axis], trials: usize) -> Result<Vec<Rung>, SweepError> {
    let Some(eta) = config.halving else { return Ok(Vec::new()) };
    let refused = |rule: String| SweepError::from(BadSetting::new("halving", eta, rule));
    if eta < 2 {
        return Err(refused("at least 2".to_owned()));
    }
    if axes.iter().any(|axis| axis.setting.name == "epochs") {
        return Err(refused(
            "left out where `epochs` is searched: trials are compared after as many epochs".to_owned(),
        ));
    }
    let epochs = config.config.epochs;
    match halving::rungs(epochs, trials, eta) {
        rungs if rungs.is_empty() => {
            Err(refused(format!("at most the number of trials, {trials}, and that of {}, {epochs}", Setting("epochs"))))
        }
        rungs => Ok(rungs),
    }
}

/// Numbers of the trials that can be recommended, the best first.
fn ranking(results: &[TrialResult]) -> Vec<usize> {
    let mut ranked: Vec<&TrialResult> = results.iter().filter(|result| result.is_sound()).collect();
    ranked.sort_by(|a, b| a.compare(b));
    ranked.iter().map(|result| result.number).collect()
}

/// Notes that a trial failed.
fn fail(result: &mut TrialResult, reason: &TrainError, reporter: &mut dyn Reporter) {
    reporter.note(&format!("trial {} failed: {reason}", result.number));
    result.status = Status::Failed;
    result.reason = Some(reason.to_string());
}

/// Whether the trial asked too much of the device, and no other trial can be trained on it. The sweep ends, and goes on
/// later without the trial.
fn takes_device_along(error: &TrainError) -> bool {
    matches!(error, TrainError::Session(SessionError::Gpu(GpuError::LostForMemory)))
}

/// Whether other settings may do better: the device, the disk and the data are the same for all.
fn is_of_trial(error: &TrainError) -> bool {
    match error {
        TrainError::Setting(_)
        | TrainError::Recipe(_)
        | TrainError::Model(_)
        | TrainError::Graph(_)
        | TrainError::Optimizer(_)
        | TrainError::Schedule(_)
        | TrainError::Weights(_)
        | TrainError::OtherHead { .. }
        | TrainError::Mismatch { .. }
        | TrainError::Diverged { .. } => true,
        TrainError::Session(SessionError::NoMemory(_)) => true,
        TrainError::Session(SessionError::Gpu(error)) => {
            matches!(
                error,
                GpuError::OutOfMemory { .. }
                    | GpuError::TooLarge { .. }
                    | GpuError::Plan(_)
                    | GpuError::Pipeline { .. }
            )
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_that_had_no_memory_has_failed_and_a_device_that_is_lost_for_it_ends_the_sweep_too() {
        let on_device = |error| TrainError::Session(SessionError::Gpu(error));
        let no_memory = on_device(GpuError::OutOfMemory { what: "running".to_owned() });
        let lost_for_memory = on_device(GpuError::LostForMemory);
        let lost = on_device(GpuError::Lost { reason: "Device is lost".to_owned() });
        for (error, failed, ended) in [(no_memory, true, false), (lost_for_memory, false, true), (lost, false, false)] {
            assert_eq!((is_of_trial(&error), takes_device_along(&error)), (failed, ended), "{error}");
        }
    }
}
