//! What can be wrong with a recipe.

use crate::models::ModelError;
use crate::optim::OptimizerError;
use crate::setting::BadSetting;
use std::path::PathBuf;

/// Settings that no run can have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum RecipeError {
    #[error(transparent)]
    Setting(#[from] BadSetting),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Optimizer(#[from] OptimizerError),
    #[error("the configuration `{}` cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
}

impl RecipeError {
    /// Whether the user asked for something that cannot be, rather than something went wrong.
    pub fn is_usage(&self) -> bool {
        !matches!(self, RecipeError::Unreadable { .. })
    }
}
