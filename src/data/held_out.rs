//! Which training images are held out of training, class by class.

use super::error::DataError;
use crate::random::SplitMix64;
use crate::setting::{BadSetting, as_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which of the training images are the test images, where the data have none of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum HeldOut {
    /// A tenth of each class, with no chance involved.
    #[default]
    Tenth,
    /// This share of each class, drawn by the seed.
    Share {
        /// From 0 to 1.
        share: f64,
        /// What it is drawn by.
        seed: u64,
    },
    /// One of several parts, each of which has its share of each class, drawn by the seed.
    Fold {
        /// Which part.
        fold: Fold,
        /// What they are drawn by.
        seed: u64,
    },
}

/// One of several parts; `2/5` is the second of five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fold {
    number: usize,
    of: usize,
}

/// Keeps the draws apart from those of a shuffle.
const SPLIT: u64 = 0x73706c6974;

impl HeldOut {
    /// Whether each of the images with these labels is held out.
    pub(super) fn of(self, labels: &[u32], classes: usize) -> Vec<bool> {
        match self {
            HeldOut::Tenth => spread(labels, classes, 0.1),
            HeldOut::Share { share, seed } => {
                let mut held = vec![false; labels.len()];
                for images in shuffled(labels, classes, seed) {
                    let count = images.len();
                    let wanted = (count as f64 * share).round() as usize;
                    let wanted = if count < 2 { 0 } else { wanted.clamp(1, count - 1) };
                    images[..wanted].iter().for_each(|&image| held[image] = true);
                }
                held
            }
            HeldOut::Fold { fold, seed } => {
                // Dealt out in turn over all classes: no part has two images more than another.
                let dealt = shuffled(labels, classes, seed).into_iter().flatten().enumerate();
                let mut held = vec![false; labels.len()];
                dealt.for_each(|(turn, image)| held[image] = turn % fold.of == fold.number - 1);
                held
            }
        }
    }

    /// What is held out, for people.
    pub(super) fn describe(self) -> String {
        match self {
            HeldOut::Tenth => "a tenth".to_owned(),
            HeldOut::Share { share, .. } => format!("a share of {share}"),
            HeldOut::Fold { fold, .. } => format!("fold {fold}"),
        }
    }

    /// What data with test images of their own say to it.
    ///
    /// # Errors
    /// Where something else than [`HeldOut::Tenth`] is asked for.
    pub(super) fn expect_none(self, of: &str) -> Result<(), DataError> {
        let (setting, value) = match self {
            HeldOut::Tenth => return Ok(()),
            HeldOut::Share { share, .. } => ("split", share.to_string()),
            HeldOut::Fold { fold, .. } => ("fold", fold.to_string()),
        };
        let rule = format!("left out with {of}, which has test images of its own");
        Err(BadSetting::new(setting, value, rule).into())
    }
}

/// The images of each class, in an order that the seed decides.
fn shuffled(labels: &[u32], classes: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut of_class = vec![Vec::new(); classes];
    labels.iter().enumerate().for_each(|(image, &label)| of_class[label as usize].push(image));
    for (class, images) in of_class.iter_mut().enumerate() {
        SplitMix64::keyed(&[seed, SPLIT, class as u64]).shuffle(images);
    }
    of_class
}

/// Which of the images with these labels are held out: the share `share` of each class, spread evenly over its images,
/// and at least one of two. The same ones every time.
pub(super) fn spread(labels: &[u32], classes: usize, share: f64) -> Vec<bool> {
    let mut counts = vec![0_usize; classes];
    labels.iter().for_each(|&label| counts[label as usize] += 1);
    let mut seen = vec![0_usize; classes];
    let is_held = |&label: &u32| {
        let (count, at) = (counts[label as usize], seen[label as usize]);
        seen[label as usize] += 1;
        let held = if count < 2 { 0 } else { ((count as f64 * share) as usize).clamp(1, count - 1) };
        (at + 1) * held / count > at * held / count
    };
    labels.iter().map(is_held).collect()
}

impl fmt::Display for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Fold {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let parts = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((number, of)) if of >= 2 && (1..=of).contains(&number) => Ok(Fold { number, of }),
            _ => Err(BadSetting::new("fold", text, "one of several parts, such as 2/5").into()),
        }
    }
}

as_text!(Fold, DataError);

#[cfg(test)]
mod tests {
    use super::*;

    /// 23 images of three classes: 14, 8 and 1.
    fn labels() -> Vec<u32> {
        (0..23).map(|image| if image == 5 { 2 } else { u32::from(image % 3 == 0) }).collect()
    }

    fn counts(held: &[bool]) -> [usize; 3] {
        let of = |class| held.iter().zip(labels()).filter(|&(&held, label)| held && label == class).count();
        [of(0), of(1), of(2)]
    }

    #[test]
    fn folds_are_parts_of_each_class_that_do_not_overlap() {
        for seed in 0..9 {
            let folds = (1..=5).map(|number| HeldOut::Fold { fold: Fold { number, of: 5 }, seed }.of(&labels(), 3));
            let folds: Vec<Vec<bool>> = folds.collect();
            for image in 0..23 {
                assert_eq!(folds.iter().filter(|fold| fold[image]).count(), 1, "image {image} is in one fold");
            }
            for fold in &folds {
                let [a, b, _] = counts(fold);
                assert!((2..=3).contains(&a) && (1..=2).contains(&b), "{:?}", counts(fold));
                assert!((4..=5).contains(&fold.iter().filter(|&&held| held).count()));
            }
        }
    }

    #[test]
    fn a_share_of_each_class_is_drawn_by_the_seed_and_leaves_one_to_train_on() {
        let draw = |share, seed| HeldOut::Share { share, seed }.of(&labels(), 3);
        assert_eq!(draw(0.25, 1), draw(0.25, 1));
        assert_ne!(draw(0.25, 1), draw(0.25, 2));
        for seed in 0..9 {
            let per_class = [0.25, 0.01, 0.99].map(|share| counts(&draw(share, seed)));
            assert_eq!(per_class, [[4, 2, 0], [1, 1, 0], [13, 7, 0]], "seed {seed}");
        }
    }

    #[test]
    fn a_fold_is_one_of_at_least_two() {
        assert_eq!("2/5".parse::<Fold>().unwrap().to_string(), "2/5");
        for wrong in ["", "2", "0/5", "6/5", "1/1", "a/b", "1/5/2"] {
            assert!(wrong.parse::<Fold>().unwrap_err().to_string().contains("such as 2/5"), "{wrong}");
        }
    }
}
