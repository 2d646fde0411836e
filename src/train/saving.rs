//! When a run writes which checkpoint, and what it falls back to when training diverges.
//!
//! A checkpoint is good when the loss of its weights is a number, and not an absurd one. After an epoch the test has
//! shown that. Within an epoch the next step does; until then the checkpoint before is kept beside it.

use super::{EpochRow, RunFolder, TrainError, Trainer};
use crate::activity::Stage;
use crate::atomic_file::{keep_as, remove_file, rename_file};
use crate::checkpoint::{Checkpoint, save_checkpoint};

/// What is known of the checkpoints on the disk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Saved {
    /// Steps after which the last was written.
    pub last: Option<u64>,
    /// Steps after which the one before was written, while that is kept.
    pub previous: Option<u64>,
    /// No step has shown yet that the last is good.
    pub is_unproven: bool,
    /// The loss of the last step that is known is absurd.
    pub is_absurd: bool,
}

/// A loss of so many times that of guessing is of weights that have left all reason.
const ABSURD: f64 = 100.0;

impl Trainer {
    /// Writes the row of a finished and tested epoch, its checkpoint, and a second one when it is the best so far.
    pub(super) fn save_epoch(&mut self, row: &EpochRow, is_best: bool) -> Result<(), TrainError> {
        if !self.leads() {
            return Ok(());
        }
        // First of all: an epoch whose state is not finite gets no row either.
        let checkpoint = self.snapshot()?;
        self.folder.write_epoch(row, self.header.progress.step - 1)?;
        self.folder.write_histograms(&checkpoint.tensors, self.header.progress.step - 1)?;
        self.note_norms(row.epoch, &checkpoint)?;
        self.write(&checkpoint, false)?;
        if is_best {
            save_checkpoint(&RunFolder::best(self.folder.path()), &checkpoint)?;
        }
        self.prove()
    }

    /// Writes a checkpoint within an epoch. With an absurd loss only if it `must`: the one before is better.
    pub(super) fn save_midway(&mut self, must: bool) -> Result<(), TrainError> {
        match (self.saved.is_absurd && !must) || !self.leads() {
            true => Ok(()),
            false => {
                let checkpoint = self.snapshot()?;
                self.write(&checkpoint, true)
            }
        }
    }

    fn write(&mut self, checkpoint: &Checkpoint, is_unproven: bool) -> Result<(), TrainError> {
        let activity = self.runner.session.device().activity().clone();
        let _saving = activity.enter(Stage::Saving, 0);
        let folder = self.folder.path().to_owned();
        let file = RunFolder::checkpoint(&folder);
        self.folder.sync()?;
        if is_unproven && self.saved.last.is_some() && !self.saved.is_unproven {
            let previous = RunFolder::previous(&folder);
            keep_as(&file, &previous).map_err(TrainError::file(&previous, "written"))?;
            self.saved.previous = self.saved.last;
        }
        save_checkpoint(&file, checkpoint)?;
        self.saved.last = Some(self.header.progress.step);
        self.saved.is_unproven = is_unproven;
        self.note_checkpoint(true)
    }

    /// The state of the run; an error when it is not finite.
    fn snapshot(&mut self) -> Result<Checkpoint, TrainError> {
        self.header.learning_rate = serde_json::to_value(&self.learning_rate).unwrap_or_default();
        let mut header = self.header.clone();
        // The first checkpoint is like the later ones, whose configuration speaks of one.
        header.config.run.iter_mut().for_each(|run| run.has_checkpoint = true);
        let checkpoint = Checkpoint { header, tensors: self.runner.export(self.header.progress.step)? };
        let bad = checkpoint.first_not_finite().map(|(name, value)| format!("`{name}` holds {value}"));
        match bad {
            None => Ok(checkpoint),
            Some(bad) => Err(self.diverged(format!("{bad} after {} steps", self.header.progress.step))),
        }
    }

    /// Takes in the loss of step `step`, which is a number.
    pub(super) fn judge_saved(&mut self, step: u64, loss: f32) -> Result<(), TrainError> {
        let guessing = (self.header.classes.len() as f64).ln();
        self.saved.is_absurd = f64::from(loss) > ABSURD * guessing;
        let is_after = self.saved.last.is_some_and(|last| step >= last);
        if self.saved.is_unproven && is_after && !self.saved.is_absurd {
            return self.prove();
        }
        Ok(())
    }

    /// The last checkpoint is good: the one before is no longer needed.
    fn prove(&mut self) -> Result<(), TrainError> {
        self.saved.is_unproven = false;
        // The one who leads keeps account of the files.
        if self.saved.previous.take().is_some() {
            let previous = RunFolder::previous(self.folder.path());
            remove_file(&previous).map_err(TrainError::file(&previous, "removed"))?;
        }
        Ok(())
    }

    /// Ends the run with the last checkpoint that is good, and says which it is.
    pub(super) fn diverged(&mut self, what: String) -> TrainError {
        match self.fall_back() {
            Ok(()) => TrainError::Diverged { what, kept: self.saved.last },
            Err(reason) => reason,
        }
    }

    fn fall_back(&mut self) -> Result<(), TrainError> {
        if !self.saved.is_unproven || !self.leads() {
            return Ok(());
        }
        let folder = self.folder.path().to_owned();
        let file = RunFolder::checkpoint(&folder);
        self.note_checkpoint(self.saved.previous.is_some())?;
        match self.saved.previous {
            Some(_) => rename_file(&RunFolder::previous(&folder), &file),
            None => remove_file(&file),
        }
        .map_err(TrainError::file(&file, "replaced"))?;
        self.saved = Saved { last: self.saved.previous, ..Saved::default() };
        Ok(())
    }

    /// Notes in the run's configuration whether there is a checkpoint, where that is news.
    pub(super) fn note_checkpoint(&mut self, has_checkpoint: bool) -> Result<(), TrainError> {
        match &mut self.header.config.run {
            Some(run) if run.has_checkpoint != has_checkpoint => {
                run.has_checkpoint = has_checkpoint;
                self.folder.write_config(&self.header.config)
            }
            _ => Ok(()),
        }
    }
}
