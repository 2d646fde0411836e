//! What images are normalised by, as written on the command line and in recipes.

use super::{DataError, Normalization};
use crate::setting::{BadSetting, as_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// `data`, `imagenet` or `MEAN/STD`. `FromStr` and `Display` are inverse; serde uses the same text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Normalize {
    /// By mean and deviation of the training images.
    Data,
    /// By those of ImageNet.
    Imagenet,
    /// By these; one number for all channels, or one per channel.
    By {
        /// What is subtracted from pixels, which go from 0 to 1.
        mean: Vec<f32>,
        /// What they are then divided by.
        std: Vec<f32>,
    },
}

impl Normalize {
    /// For images of so many channels; none for the training images' own.
    ///
    /// # Errors
    /// When there are numbers for another count of channels.
    pub fn of(&self, channels: usize) -> Result<Option<Normalization>, DataError> {
        let given = match self {
            Normalize::Data => return Ok(None),
            Normalize::Imagenet => Normalization::imagenet(),
            Normalize::By { mean, std } => Normalization { mean: mean.clone(), std: std.clone() },
        };
        let spread = |values: Vec<f32>| match values[..] {
            [one] => Some(vec![one; channels]),
            _ if values.len() == channels => Some(values),
            _ => None,
        };
        match (spread(given.mean), spread(given.std)) {
            (Some(mean), Some(std)) => Ok(Some(Normalization { mean, std })),
            _ => {
                let expected = format!("data, or numbers for the {channels} channels of the images");
                Err(BadSetting::new("normalize", self, expected).into())
            }
        }
    }
}

impl fmt::Display for Normalize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        match self {
            Normalize::Data => f.write_str("data"),
            Normalize::Imagenet => f.write_str("imagenet"),
            Normalize::By { mean, std } => write!(f, "{}/{}", list(mean), list(std)),
        }
    }
}

impl FromStr for Normalize {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "data" => return Ok(Normalize::Data),
            "imagenet" => return Ok(Normalize::Imagenet),
            _ => {}
        }
        let numbers = |list: &str| -> Option<Vec<f32>> {
            list.split(',').map(|number| number.trim().parse().ok().filter(|number: &f32| number.is_finite())).collect()
        };
        let parts = text.split_once('/').and_then(|(mean, std)| Some((numbers(mean)?, numbers(std)?)));
        match parts.filter(|(_, std)| std.iter().all(|&std| std > 0.0)) {
            Some((mean, std)) => Ok(Normalize::By { mean, std }),
            None => {
                let expected = "data, imagenet, or MEAN/STD with deviations above 0, such as 0.5/0.25 or \
                                0.5,0.5,0.5/0.25,0.25,0.25";
                Err(BadSetting::new("normalize", format!("`{text}`"), expected).into())
            }
        }
    }
}

as_text!(Normalize, DataError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_is_spread_over_the_channels() {
        for text in ["data", "imagenet", "0.5/0.25", "0.1,0.2,0.3/1,2,3", "-0.5/2"] {
            assert_eq!(text.parse::<Normalize>().unwrap().to_string(), text);
        }
        let of = |text: &str, channels| text.parse::<Normalize>().unwrap().of(channels);
        assert_eq!(of("0.5/0.25", 3).unwrap().unwrap(), Normalization { mean: vec![0.5; 3], std: vec![0.25; 3] });
        assert_eq!(of("imagenet", 3).unwrap().unwrap(), Normalization::imagenet());
        assert_eq!(of("data", 3).unwrap(), None);
        assert!(of("imagenet", 1).unwrap_err().is_usage());
        for text in ["", "0.5", "0.5/0", "a/b", "0.5/-1", "nan/1", "0.5/inf"] {
            assert!(text.parse::<Normalize>().is_err(), "{text}");
        }
    }
}
