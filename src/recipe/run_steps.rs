//! How many steps a run has at most, in steps or in epochs.

use crate::setting::{BadSetting, Written, as_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A number of steps: `500`, or in epochs `9.9epochs`.
///
/// ```
/// use tilewright::recipe::RunSteps;
///
/// let most: RunSteps = "9.9epochs".parse()?;
/// // A step that is begun counts.
/// assert_eq!(most.of(48), 476);
/// # Ok::<(), tilewright::setting::BadSetting>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub enum RunSteps {
    /// So many.
    Steps(u64),
    /// Those of so many epochs.
    Epochs(f64),
}

impl RunSteps {
    /// The steps, at least one, where an epoch has so many.
    pub fn of(&self, steps_per_epoch: u64) -> u64 {
        match *self {
            RunSteps::Steps(steps) => steps,
            // A product such as 47.52 of 4.4 * 10.8 is not to be pushed up by its last bit.
            RunSteps::Epochs(epochs) => ((epochs * steps_per_epoch as f64 - 1e-9).ceil() as u64).max(1),
        }
    }
}

impl fmt::Display for RunSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunSteps::Steps(steps) => write!(f, "{steps}"),
            RunSteps::Epochs(epochs) => write!(f, "{epochs}epochs"),
        }
    }
}

impl FromStr for RunSteps {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let refused = || {
            let rule = "steps, such as 500, or epochs, such as 9.9epochs; more than none";
            BadSetting::new("max_steps", format!("`{}`", crate::attribute::excerpt(text)), rule)
        };
        match text.trim().strip_suffix("epochs") {
            Some(number) => {
                let epochs: f64 = number.trim().parse().map_err(|_| refused())?;
                if epochs.is_finite() && epochs > 0.0 { Ok(RunSteps::Epochs(epochs)) } else { Err(refused()) }
            }
            None => match text.trim().parse() {
                Ok(0) | Err(_) => Err(refused()),
                Ok(steps) => Ok(RunSteps::Steps(steps)),
            },
        }
    }
}

as_text!(RunSteps, BadSetting, Written);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_reads_back_as_it_is_written_and_what_is_none_is_refused() {
        for text in ["500", "9.9epochs", "1epochs"] {
            assert_eq!(text.parse::<RunSteps>().unwrap().to_string(), text);
        }
        for text in ["0", "-1", "0epochs", "nanepochs", "9.9", "infepochs", ""] {
            let told = text.parse::<RunSteps>().unwrap_err().to_string();
            assert!(told.contains("such as 9.9epochs"), "{told}");
        }
        for (written, told) in [("max_steps = 500", "500"), ("max_steps = \"9.9epochs\"", "9.9epochs")] {
            let config = crate::recipe::TrainConfig::from_toml(written).unwrap();
            assert_eq!(config.max_steps.unwrap().to_string(), told);
        }
        let steps = |text: &str, per_epoch| text.parse::<RunSteps>().unwrap().of(per_epoch);
        assert_eq!(
            [steps("2epochs", 10), steps("0.01epochs", 10), steps("1.25epochs", 10), steps("7", 10)],
            [20, 1, 13, 7]
        );
    }
}
