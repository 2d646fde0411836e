//! Sizes of training images that are not those of the images a model is tested on.

use super::TrainConfig;
use crate::data::{Augmentations, Dataset, ImageSize};
use crate::setting::{BadSetting, Setting};

/// What the change that cuts smaller images out of larger ones is called, for people.
const CUTTING: &str = "random_resized_crop or crop:padding=0";

impl TrainConfig {
    /// Height and width of training images as they are kept, and as the model sees them, where the configuration says so.
    fn training_sizes(&self) -> Option<[(usize, usize); 2]> {
        let size = self.size.filter(|_| self.stored_size.is_some() || self.train_size.is_some())?;
        Some([self.stored_size.unwrap_or(size), self.train_size.unwrap_or(size)])
    }

    /// Height and width that training images are kept in, where the model sees `seen` of them.
    pub(crate) fn stored(&self, seen: [usize; 2]) -> [usize; 2] {
        self.training_sizes().map_or(seen, |[(height, width), _]| [height, width])
    }

    /// Shape (channels, height, width) of what the model sees of images of `train` in a step.
    pub(crate) fn trained_shape(&self, train: &Dataset) -> [usize; 3] {
        let seen = self.training_sizes().map_or((train.height, train.width), |[_, seen]| seen);
        [train.channels, seen.0, seen.1]
    }

    /// The changes, of which one cuts what the model sees out of images that are kept larger.
    pub(super) fn cutting(&self, changes: Augmentations) -> Result<Augmentations, BadSetting> {
        let refuse = |rule: String| {
            let (name, size) = self.named_size();
            Err(BadSetting::new(name, shown(size), rule))
        };
        match self.training_sizes() {
            None if self.named_size().1.is_some() => {
                refuse(format!("left out, or {} given beside it: the size that tests are of", Setting("size")))
            }
            Some([stored, seen]) if stored.0 < seen.0 || stored.1 < seen.1 => refuse(match self.stored_size {
                Some(_) => format!("at least {}, which the model sees in training", shown(Some(seen))),
                None => format!("at most {}, in which images are kept", shown(Some(stored))),
            }),
            Some([stored, seen]) if stored != seen => match changes.cutting([seen.0, seen.1]) {
                Some(cutting) => Ok(cutting),
                None => refuse(format!(
                    "{}, unless {CUTTING} in {} cuts that out",
                    shown(Some(if self.stored_size.is_some() { seen } else { stored })),
                    Setting("augment"),
                )),
            },
            _ => Ok(changes),
        }
    }

    /// The setting that is to blame, and its value.
    fn named_size(&self) -> (&'static str, Option<(usize, usize)>) {
        match self.stored_size {
            Some(_) => ("stored_size", self.stored_size),
            None => ("train_size", self.train_size),
        }
    }
}

fn shown(size: Option<(usize, usize)>) -> String {
    size.map_or_else(String::new, |(height, width)| ImageSize { height, width }.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_do_not_go_together_are_refused_by_name() {
        let refused = |text: &str| {
            let config = TrainConfig::from_toml(text).unwrap();
            config.validate().unwrap_err().to_string()
        };
        for (text, told) in [
            ("stored_size = '40x40'", "`stored_size` is 40x40, but must be left out, or `size` given beside it"),
            ("train_size = '24x24'", "`train_size` is 24x24, but must be left out, or `size` given beside it"),
            (
                "size = '32x32'\nstored_size = '40x40'",
                "must be 32x32, unless random_resized_crop or crop:padding=0 in `augment` cuts that out",
            ),
            ("size = '32x32'\ntrain_size = '24x24'\naugment = 'crop'", "must be 32x32, unless random_resized_crop"),
            (
                "size = '32x32'\nstored_size = '24x40'\naugment = 'random_resized_crop'",
                "`stored_size` is 24x40, but must be at least 32x32, which the model sees in training",
            ),
            (
                "size = '32x32'\ntrain_size = '32x40'\naugment = 'random_resized_crop'",
                "`train_size` is 32x40, but must be at most 32x32, in which images are kept",
            ),
        ] {
            let error = refused(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_kept_and_what_is_seen_may_be_any_two_sizes() {
        let config = |text: &str| TrainConfig::from_toml(text).unwrap();
        let all =
            config("size = '32x32'\nstored_size = '40x48'\ntrain_size = '24x24'\naugment = 'random_resized_crop'");
        assert!(all.validate().is_ok());
        assert_eq!(all.stored([24, 24]), [40, 48]);
        let plain = config("size = '32x32'");
        assert_eq!(plain.stored([32, 32]), [32, 32]);
        let alike = config("size = '32x32'\nstored_size = '24x24'\ntrain_size = '24x24'");
        assert!(alike.validate().is_ok(), "nothing is to be cut");
    }
}
