//! What can keep a sweep from beginning, or end it early.

use super::super::TrainError;
use super::setting::known;
use crate::setting::{BadSetting, Setting};
use std::path::PathBuf;

/// A sweep that cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum SweepError {
    #[error(
        "`{text}` says not what to search: write it like `lr=1e-3,1e-2`, or for {} like `lr=log:1e-4..1e-1`",
        Setting("random")
    )]
    Syntax { text: String },
    #[error("there is no setting `{name}` to search{}; there are {}", close.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default(), known())]
    UnknownSetting { name: String, close: Option<&'static str> },
    #[error("`{name}` cannot be `{value}`: it must be {rule}")]
    Value { name: String, value: String, rule: String },
    #[error(transparent)]
    Setting(#[from] BadSetting),
    #[error("trial {number} ({settings}) cannot be trained: {reason}")]
    Trial { number: usize, settings: String, reason: Box<TrainError> },
    #[error(transparent)]
    Train(Box<TrainError>),
    #[error("`{}` is not the folder of a sweep: it has no sweep.toml; give the folder that `sweep` printed", path.display())]
    NotASweep { path: PathBuf },
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    /// Someone asked for it.
    #[error(
        "stopped, with {ended} of {trials} trials at their end{}; the table is `{}`, and {} goes on from \
         there",
        best.as_ref().map(|best| format!(", the best so far {best}")).unwrap_or_default(),
        folder.join("trials.csv").display(), Setting("resume").to(folder.display())
    )]
    Stopped { folder: PathBuf, ended: usize, trials: usize, best: Option<String> },
    #[error("{reason}; {} goes on with the trials that are left", Setting("resume").to(folder.display()))]
    Ended { folder: PathBuf, reason: Box<TrainError> },
    #[error("all {trials} trials failed, the first with: {reason}; the others' reasons are in `{}`", table.display())]
    AllFailed { trials: usize, reason: String, table: PathBuf },
}

impl From<TrainError> for SweepError {
    fn from(error: TrainError) -> Self {
        SweepError::Train(Box::new(error))
    }
}

impl SweepError {
    /// Whether the user asked for something that cannot be, rather than something went wrong.
    pub fn is_usage(&self) -> bool {
        match self {
            SweepError::Syntax { .. }
            | SweepError::UnknownSetting { .. }
            | SweepError::Value { .. }
            | SweepError::Setting(_)
            | SweepError::Trial { .. }
            | SweepError::NotASweep { .. } => true,
            SweepError::Train(error) => error.is_usage(),
            _ => false,
        }
    }
}
