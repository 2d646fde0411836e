//! What a recipe says of itself.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The table `[recipe]` of a recipe: where it is from, and what it is worth. It has no effect on a run, which does not keep
/// it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct About {
    /// What is trained on what, in a line.
    pub about: String,
    /// The paper or the repository that it is from, with the file there.
    pub source: String,
    /// The accuracy that the source tells.
    pub published: String,
    /// The accuracy that this project measured, with device and command; else that it was not run whole.
    pub measured: String,
    /// In what it is not as its source.
    pub differs: Option<String>,
    /// Recipes that have something else in some settings, by name.
    pub variant: BTreeMap<String, Variant>,
}

/// A recipe that differs from another one in these settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// The accuracy that the source tells of it.
    pub published: String,
    /// The settings, as a recipe has them.
    #[serde(flatten)]
    pub settings: toml::Table,
}
