//! What a training step stores its features in.

use crate::setting::BadSetting;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What features and their gradients are stored in. Parameters, their gradients, statistics and losses are f32 in any case,
/// and so are sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Precision {
    /// f32, of which nothing is lost.
    #[default]
    F32,
    /// f16: half of the memory and of the traffic. Products run on matrix units where the device has them.
    F16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
        })
    }
}

impl FromStr for Precision {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        match text {
            "f32" => Ok(Precision::F32),
            "f16" => Ok(Precision::F16),
            _ => Err(BadSetting::new("precision", format!("`{text}`"), "f32 or f16")),
        }
    }
}
