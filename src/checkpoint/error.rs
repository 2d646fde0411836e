//! What can be wrong with a checkpoint.

use std::io;
use std::path::PathBuf;

/// A checkpoint that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum CheckpointError {
    #[error("`{}` cannot be {action}: {reason}", path.display())]
    File { path: PathBuf, action: &'static str, reason: io::Error },
    #[error("`{}` is not a checkpoint of tilewright, or it is damaged: {reason}", path.display())]
    NotACheckpoint { path: PathBuf, reason: String },
    #[error("the checkpoint `{}` is damaged: {what} is not what was written", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("`{}` is not written: `{tensor}` would hold {value}", path.display())]
    NotFinite { path: PathBuf, tensor: String, value: f32 },
}

impl CheckpointError {
    pub(super) fn file(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(io::Error) -> CheckpointError {
        let path = path.into();
        move |reason| CheckpointError::File { path, action, reason }
    }
}
