//! What can be wrong with a recipe.

use crate::models::{ModelError, did_you_mean};
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
    #[error("no recipe is named `{name}`{} (`tilewright recipes` lists all)", did_you_mean(close))]
    Unknown { name: String, close: Vec<&'static str> },
    #[error("the recipe `{recipe}` has no variant `{name}`; {}", known_names(known))]
    UnknownVariant { recipe: &'static str, name: String, known: Vec<String> },
    #[error("the configuration `{}` cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
}

impl RecipeError {
    /// Whether the user asked for something that cannot be, rather than something went wrong.
    pub fn is_usage(&self) -> bool {
        !matches!(self, RecipeError::Unreadable { .. })
    }
}

fn known_names(known: &[String]) -> String {
    if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) }
}
