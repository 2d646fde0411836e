//! What can be wrong with weights from elsewhere.

use super::Misfit;
use crate::graph::GraphError;
use crate::models::ModelError;
use crate::setting::BadSetting;
use std::io;
use std::path::PathBuf;

/// Weights that cannot be read, do not suit the model, or cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum InteropError {
    #[error("`{}` cannot be {action}: {reason}", path.display())]
    File { path: PathBuf, action: &'static str, reason: io::Error },
    #[error("`{}` holds no weights that can be read: {reason}", path.display())]
    Format { path: PathBuf, reason: String },
    #[error("the weights in `{}` are not all finite: {reason}", path.display())]
    NotFinite { path: PathBuf, reason: String },
    #[error("`{}` does not suit the model `{model}`: {misfit}", path.display())]
    Misfit { path: PathBuf, model: String, misfit: Box<Misfit> },
    #[error(transparent)]
    Setting(#[from] BadSetting),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("layer `{layer}`: {op} cannot be written as ONNX: {reason}")]
    NotInOnnx { layer: String, op: String, reason: String },
}

impl InteropError {
    /// Whether the user asked for something that cannot be, rather than something went wrong.
    pub fn is_usage(&self) -> bool {
        matches!(self, InteropError::Setting(_) | InteropError::Model(_))
    }

    pub(super) fn file(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(io::Error) -> InteropError {
        let path = path.into();
        move |reason| InteropError::File { path, action, reason }
    }
}
