//! Settings in messages: a library speaks of them by their names, a command line by its options.

use serde::Deserialize;
use std::fmt;
use std::sync::OnceLock;

/// A setting by its name in a recipe, such as `micro_batch`. It is shown as [`spell`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Setting(pub &'static str);

/// How a setting is written, and how one with a value.
#[derive(Clone, Copy, Debug)]
pub struct Spelling {
    /// How the setting of a name in a recipe is shown.
    pub name: fn(&str) -> String,
    /// How it is shown with a value.
    pub assignment: fn(&str, &str) -> String,
}

/// As in a recipe: `batch`, `batch = 32`.
const RECIPE: Spelling =
    Spelling { name: |name| format!("`{name}`"), assignment: |name, value| format!("`{name} = {value}`") };

static SPELLING: OnceLock<Spelling> = OnceLock::new();

/// From now on, settings are written so in all messages of this process; only the first call counts. A program with
/// options of other names than the settings calls it when it begins.
pub fn spell(spelling: Spelling) {
    SPELLING.get_or_init(|| spelling);
}

impl Setting {
    /// The setting with a value.
    pub fn to(self, value: impl fmt::Display) -> String {
        (SPELLING.get().unwrap_or(&RECIPE).assignment)(self.0, &value.to_string())
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&(SPELLING.get().unwrap_or(&RECIPE).name)(self.0))
    }
}

/// A setting whose value cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}, but must be {rule}")]
pub struct BadSetting {
    /// Which one.
    pub setting: Setting,
    /// What it is, as text.
    pub value: String,
    /// What the value must be, after "must be".
    pub rule: String,
}

impl BadSetting {
    /// The setting of that name, which is `value` and must be `rule`.
    pub fn new(setting: &'static str, value: impl fmt::Display, rule: impl Into<String>) -> Self {
        BadSetting { setting: Setting(setting), value: value.to_string(), rule: rule.into() }
    }
}

/// Lets serde read and write a type as the text that `FromStr` and `Display` have; with `Written` after it, a whole number
/// as well.
macro_rules! as_text {
    ($type:ty, $error:ty) => {
        crate::setting::as_text!($type, $error, String);
    };
    ($type:ty, $error:ty, $written:ty) => {
        impl TryFrom<$written> for $type {
            type Error = $error;

            fn try_from(written: $written) -> Result<Self, $error> {
                String::from(written).parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    };
}

pub(crate) use as_text;

/// What a recipe may write as a text or as a whole number, such as `"512M"` and `500`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a whole number")]
pub(crate) enum Written {
    Text(String),
    Number(u64),
}

impl From<Written> for String {
    fn from(written: Written) -> String {
        match written {
            Written::Text(text) => text,
            Written::Number(number) => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_names_settings_as_a_recipe_does() {
        let error = BadSetting::new("micro_batch", 3, format!("a divisor of {}", Setting("batch")));
        assert_eq!(error.to_string(), "`micro_batch` is 3, but must be a divisor of `batch`");
        assert_eq!(Setting("head").to(10), "`head = 10`");
    }
}
