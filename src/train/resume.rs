//! Goes on with a run: finds its last good checkpoint, holds it against the run's configuration and data, and puts the
//! folder in order.

use super::run_lock::RunLock;
use super::runner::Runner;
use super::saving::Saved;
use super::start::{expect_kernels, read_data, start};
use super::{Resolved, RunFolder, TrainError, Trainer};
use crate::atomic_file::{remove_file, rename_file, replace_file};
use crate::checkpoint::{Checkpoint, CheckpointError, Progress, load_checkpoint};
use crate::data::{MemorySize, Splits};
use crate::optim::schedule::RunSchedule;
use crate::recipe::{RunRecord, TrainConfig};
use crate::session::Device;
use crate::setting::BadSetting;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Settings that a run may go on with in place of those it had; none by default.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Changes {
    /// Epochs in all, those that are done among them.
    pub epochs: Option<u64>,
    /// Base learning rate.
    pub lr: Option<f64>,
    /// The schedule that goes on from there.
    pub schedule: Option<RunSchedule>,
    /// Steps between checkpoints besides those at the end of each epoch; 0 for none.
    pub checkpoint_every: Option<u64>,
    /// Epochs in a row without a better one, after which the run ends.
    pub patience: Option<u64>,
    /// By how much a better one is better.
    pub min_delta: Option<f64>,
    /// What decoded images may take of memory.
    pub data_memory: Option<MemorySize>,
    /// Whether fewer activations are kept.
    pub recompute: Option<bool>,
}

/// Keys of a configuration in which a checkpoint may differ from its run: what may change, and where files are. The
/// data are compared by their fingerprint.
const MAY_DIFFER: [&str; 12] = [
    "epochs",
    "lr",
    "schedule",
    "checkpoint_every",
    "patience",
    "min_delta",
    "data_memory",
    "recompute",
    "data",
    "init",
    "tuned",
    "run",
];

impl Changes {
    /// The configuration to go on with.
    fn apply(&self, before: &TrainConfig) -> TrainConfig {
        let mut config = before.clone();
        config.epochs = self.epochs.unwrap_or(config.epochs);
        config.lr = self.lr.unwrap_or(config.lr);
        config.schedule = self.schedule.clone().unwrap_or(config.schedule);
        config.checkpoint_every = self.checkpoint_every.unwrap_or(config.checkpoint_every);
        config.patience = self.patience.or(config.patience);
        config.min_delta = self.min_delta.unwrap_or(config.min_delta);
        config.data_memory = self.data_memory.or(config.data_memory);
        config.recompute = self.recompute.unwrap_or(config.recompute);
        config
    }
}

impl Trainer {
    /// Goes on with the run in `path` from its last checkpoint, or from the start if it was ended before the first, with
    /// the settings that `changes` has. With another number of epochs, a schedule that ended with the run ends with the
    /// new one.
    ///
    /// # Errors
    /// When it is no run, another process trains there, its checkpoint is missing, damaged or another run's, its data
    /// have changed, or `device` has other kernels than the run began with.
    pub fn resume(path: &Path, device: &Device, changes: &Changes) -> Result<Trainer, TrainError> {
        RunFolder::config(path)?;
        let lock = RunLock::take(path)?;
        let before = RunFolder::config(path)?;
        let config = changes.apply(&before);
        let splits = Arc::new(read_data(&config, device.activity())?);
        let trainer = Trainer::resume_locked(Arc::clone(&splits), path, lock, device, before, config)?;
        Ok(trainer.with_notes(&splits.notes))
    }

    /// As [`Trainer::resume`], on images that are in memory, with the configuration that the run has.
    ///
    /// # Errors
    /// As [`Trainer::resume`].
    pub fn resume_on(
        splits: impl Into<Arc<Splits>>,
        path: &Path,
        device: &Device,
        config: TrainConfig,
    ) -> Result<Trainer, TrainError> {
        let lock = RunLock::take(path)?;
        Trainer::resume_locked(splits.into(), path, lock, device, config.clone(), config)
    }

    fn resume_locked(
        splits: Arc<Splits>,
        path: &Path,
        lock: RunLock,
        device: &Device,
        before: TrainConfig,
        mut config: TrainConfig,
    ) -> Result<Trainer, TrainError> {
        let table = config.tuned.as_ref().map(|_| RunFolder::tuned(path));
        expect_kernels(device, table.as_deref())?;
        let resolved = Resolved::of_data(&config, &splits.train)?;
        let mut notes = Vec::new();
        let found = find_checkpoint(path, &before, &mut notes)?;
        let now = RunRecord::of(&splits, device.name());
        compare(path, &before, found.as_ref(), &now, &splits, &mut notes)?;
        let done = found.as_ref().map_or(0, |checkpoint| checkpoint.header.progress.step);
        refuse_fewer_epochs(&config, resolved, done)?;

        // The steps so far were run as the checkpoint says: a run may have been ended after its configuration was changed,
        // and before the checkpoint after that.
        let held = found.as_ref().map_or_else(|| before.clone(), |checkpoint| checkpoint.header.config.clone());
        tell_changes(&held, &config, &mut notes);
        let schedule = Resolved::of_data(&held, &splits.train)?.schedule(&held)?;
        config.run = Some(before.run.unwrap_or(now));
        config.run.iter_mut().for_each(|run| run.has_checkpoint = found.is_some());
        let mut runner = Runner::new(&config, &splits, resolved, device)?;
        let (mut header, mut learning_rate) = start(&config, &splits, resolved)?;
        let file = RunFolder::checkpoint(path);
        match found {
            Some(checkpoint) => {
                runner.restore(&checkpoint, &file)?;
                header.progress = checkpoint.header.progress;
                header.normalization = checkpoint.header.normalization;
                header.preprocessing = checkpoint.header.preprocessing;
                let earlier = serde_json::from_value(checkpoint.header.learning_rate)
                    .map_err(|reason| CheckpointError::NotACheckpoint { path: file, reason: reason.to_string() })?;
                learning_rate.go_on_from(earlier);
            }
            None => drop(runner.initialise(&config, &mut header, &splits.train)?),
        }
        let epochs = resolved.epochs(done);
        let (folder, lost) = RunFolder::resume(path, lock, &config, done, epochs)?;
        notes.extend(lost);
        let is_at_end =
            done > 0 && (done.is_multiple_of(resolved.steps_per_epoch.max(1)) || done == resolved.total_steps);
        restore_best(path, &header.progress, &mut notes)?;
        let previous = previous_of(path, is_at_end)?;
        let mut trainer = Trainer::new(splits, resolved, runner, header, learning_rate, folder);
        trainer.saved =
            Saved { last: (done > 0).then_some(done), previous, is_unproven: previous.is_some(), is_absurd: false };
        if *trainer.learning_rate.schedule() != schedule && trainer.header.config.schedule == held.schedule {
            let steps = resolved.total_steps;
            notes.push(format!("the schedule `{schedule}` ended with the run, and now ends at step {steps}"));
        }
        #[cfg(feature = "image")]
        trainer.show_augmentation(device)?;
        notes.append(&mut trainer.notes);
        trainer.notes = notes;
        Ok(trainer)
    }
}

/// The last checkpoint that is whole; none where the run was ended before it wrote one.
fn find_checkpoint(
    path: &Path,
    config: &TrainConfig,
    notes: &mut Vec<String>,
) -> Result<Option<Checkpoint>, TrainError> {
    let (file, previous) = (RunFolder::checkpoint(path), RunFolder::previous(path));
    let reason = match load_checkpoint(&file) {
        Ok(checkpoint) => return Ok(Some(checkpoint)),
        Err(reason) if file.exists() => reason.into(),
        Err(_) => TrainError::CheckpointMissing { path: file.clone() },
    };
    if let Ok(checkpoint) = load_checkpoint(&previous) {
        rename_file(&previous, &file).map_err(TrainError::file(&file, "replaced"))?;
        notes.push(format!(
            "{reason}; the one before, after {} steps, takes its place",
            checkpoint.header.progress.step
        ));
        return Ok(Some(checkpoint));
    }
    let had_one = config.run.as_ref().is_some_and(|run| run.has_checkpoint) || RunFolder::best(path).exists();
    match reason {
        TrainError::CheckpointMissing { .. } if !had_one => {
            notes.push("the run was ended before its first checkpoint, and begins anew".to_owned());
            Ok(None)
        }
        reason => Err(reason),
    }
}

/// Refuses a checkpoint of another run, and data that are not those that the run began with.
fn compare(
    path: &Path,
    before: &TrainConfig,
    found: Option<&Checkpoint>,
    now: &RunRecord,
    splits: &Splits,
    notes: &mut Vec<String>,
) -> Result<(), TrainError> {
    if let Some(checkpoint) = found {
        let mut differences = settings_that_differ(&checkpoint.header.config, before);
        let theirs = checkpoint.header.config.run.as_ref();
        if let (Some(ours), Some(theirs)) = (&before.run, theirs) {
            differences.extend(ours.differences(theirs));
        }
        if checkpoint.header.classes != splits.train.classes && before.run.is_none() {
            let classes =
                |classes: &[String]| RunRecord { classes: classes.to_vec(), splits: Default::default(), ..now.clone() };
            differences.extend(classes(&checkpoint.header.classes).differences(&classes(&splits.train.classes)));
        }
        if !differences.is_empty() {
            return Err(TrainError::OtherRun { path: RunFolder::checkpoint(path), differences });
        }
    }
    let Some(begun) = &before.run else {
        notes.push("the run was begun by an earlier version: whether its data are the same is not known".to_owned());
        return Ok(());
    };
    let differences = begun.differences(now);
    if !differences.is_empty() {
        let data = splits.train.name.clone();
        return Err(TrainError::OtherRunData { run: path.to_owned(), data, differences });
    }
    if begun.device != now.device {
        notes.push(format!(
            "the run began on {}, and goes on on {}: its numbers will differ in their last bits from those of one device",
            begun.device, now.device
        ));
    }
    Ok(())
}

/// What a checkpoint's configuration has other than the run's, each in a few words.
fn settings_that_differ(held: &TrainConfig, ours: &TrainConfig) -> Vec<String> {
    let value = |config: &TrainConfig| serde_json::to_value(config).unwrap_or_default();
    let (held, ours) = (value(held), value(ours));
    let keys = ours.as_object().into_iter().flatten().filter(|(key, _)| !MAY_DIFFER.contains(&key.as_str()));
    let differing = keys.filter(|(key, ours)| held.get(key.as_str()) != Some(*ours));
    let text = |value: Option<&serde_json::Value>| value.unwrap_or_default().to_string();
    differing.map(|(key, ours)| format!("{key} is {} there and {ours} here", text(held.get(key.as_str())))).collect()
}

fn refuse_fewer_epochs(config: &TrainConfig, resolved: Resolved, done: u64) -> Result<(), TrainError> {
    if done <= resolved.total_steps {
        return Ok(());
    }
    let rule = format!("at least {}: so many have begun", done.div_ceil(resolved.steps_per_epoch.max(1)));
    Err(BadSetting::new("epochs", config.epochs.to_string(), rule).into())
}

/// Says what the run goes on with in place of what it had.
fn tell_changes(before: &TrainConfig, config: &TrainConfig, notes: &mut Vec<String>) {
    let mut tell = |what: &str, old: String, new: String| {
        if old != new {
            notes.push(format!("{what} was {old}, and is {new} from here on"));
        }
    };
    tell("epochs", before.epochs.to_string(), config.epochs.to_string());
    tell("lr", before.lr.to_string(), config.lr.to_string());
    tell("checkpoint_every", before.checkpoint_every.to_string(), config.checkpoint_every.to_string());
    let patience = |config: &TrainConfig| config.patience.map_or("none".to_owned(), |epochs| epochs.to_string());
    tell("patience", patience(before), patience(config));
    tell("min_delta", before.min_delta.to_string(), config.min_delta.to_string());
    tell("recompute", before.recompute.to_string(), config.recompute.to_string());
    tell("schedule", before.schedule.to_string(), config.schedule.to_string());
    if let Some(average) = config.average {
        let first = |epochs| average.first_epoch(epochs).unwrap_or(1).to_string();
        tell("the first epoch of the average", first(before.epochs), first(config.epochs));
    }
}

/// Makes the best checkpoint of the last one where that is the best and its copy is missing; tells when another is
/// lost.
fn restore_best(path: &Path, progress: &Progress, notes: &mut Vec<String>) -> Result<(), TrainError> {
    let (file, best) = (RunFolder::checkpoint(path), RunFolder::best(path));
    if progress.best_step == 0 {
        return Ok(());
    }
    let held = load_checkpoint(&best).ok().map(|checkpoint| checkpoint.header.progress.step);
    if held == Some(progress.best_step) {
        return Ok(());
    }
    match progress.best_step == progress.step {
        true => {
            let bytes = std::fs::read(&file).map_err(TrainError::file(&file, "read"))?;
            replace_file(&best, &bytes).map_err(TrainError::file(&best, "written"))
        }
        false => {
            notes.push(format!(
                "`{}`, after {} steps, is missing or damaged; it is written again when an epoch is better",
                best.display(),
                progress.best_step
            ));
            Ok(())
        }
    }
}

/// Steps after which the checkpoint before the last was written, if it is kept. After an epoch it no longer is.
fn previous_of(path: &Path, is_at_end: bool) -> Result<Option<u64>, TrainError> {
    let previous: PathBuf = RunFolder::previous(path);
    match load_checkpoint(&previous) {
        Ok(checkpoint) if !is_at_end => Ok(Some(checkpoint.header.progress.step)),
        _ => remove_file(&previous).map_err(TrainError::file(&previous, "removed")).map(|()| None),
    }
}
