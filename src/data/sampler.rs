//! Which training images an epoch takes, and in which order.

use super::error::DataError;
use crate::random::SplitMix64;
use crate::setting::BadSetting;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How the images of an epoch are drawn: a function of seed and epoch alone, so that a run that is resumed draws the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Sampler {
    /// Each image once, shuffled.
    #[default]
    Shuffle,
    /// Each class equally often, as many images in all as there are. Of a class with many images an epoch takes some;
    /// of one with few, each several times.
    Balanced,
}

/// Keeps the draws apart from those of a shuffle.
const BALANCED: u64 = 0x62616c616e636564;

impl Sampler {
    /// The images of an epoch, by their index, in its order.
    pub(super) fn order(self, labels: &[u32], seed: u64, epoch: u64) -> Vec<u32> {
        match self {
            Sampler::Shuffle => {
                let mut order: Vec<u32> = (0..labels.len() as u32).collect();
                SplitMix64::keyed(&[seed, epoch]).shuffle(&mut order);
                order
            }
            Sampler::Balanced => balanced(labels, &mut SplitMix64::keyed(&[seed, epoch, BALANCED])),
        }
    }
}

/// As many images as there are, of each class as many as of each other, or one more.
fn balanced(labels: &[u32], random: &mut SplitMix64) -> Vec<u32> {
    let classes = labels.iter().max().map_or(0, |&most| most as usize + 1);
    let mut of_class: Vec<Vec<u32>> = vec![Vec::new(); classes];
    for (index, &label) in (0..).zip(labels) {
        of_class[label as usize].push(index);
    }
    of_class.retain(|images| !images.is_empty());
    // Which classes have one image more differs from epoch to epoch.
    random.shuffle(&mut of_class);
    let mut order = Vec::with_capacity(labels.len());
    let count = of_class.len().max(1);
    for (place, images) in of_class.iter_mut().enumerate() {
        let mut wanted = labels.len() / count + usize::from(place < labels.len() % count);
        while wanted > 0 {
            random.shuffle(images);
            let taken = wanted.min(images.len());
            order.extend_from_slice(&images[..taken]);
            wanted -= taken;
        }
    }
    random.shuffle(&mut order);
    order
}

impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shuffle => "shuffle",
            Self::Balanced => "balanced",
        })
    }
}

impl FromStr for Sampler {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "shuffle" => Ok(Self::Shuffle),
            "balanced" => Ok(Self::Balanced),
            _ => Err(BadSetting::new("sampler", format!("`{text}`"), "shuffle or balanced").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balanced_epoch_takes_each_class_equally_often_and_all_images_of_the_rare() {
        let labels: Vec<u32> = (0..100).map(|index| if index < 90 { 0 } else { 1 + index % 3 % 2 }).collect();
        let count = |label: u32| labels.iter().filter(|&&other| other == label).count();
        assert_eq!([count(0), count(1), count(2)], [90, 7, 3]);
        let mut totals = vec![0; 100];
        for epoch in 0..20 {
            let order = Sampler::Balanced.order(&labels, 7, epoch);
            assert_eq!(order, Sampler::Balanced.order(&labels, 7, epoch));
            let mut times = vec![0; 100];
            order.iter().for_each(|&index| times[index as usize] += 1);
            let drawn = |label| (0..100).filter(|&index| labels[index] == label).map(|index| times[index]).sum::<i32>();
            let mut classes = [drawn(0), drawn(1), drawn(2)];
            classes.sort_unstable();
            assert_eq!(classes, [33, 33, 34], "epoch {epoch}");
            // Within a class no image is drawn twice more often than another.
            for label in 0..3 {
                let of = || (0..100).filter(|&index| labels[index] == label).map(|index| times[index]);
                assert!(of().max().unwrap() - of().min().unwrap() <= 1, "epoch {epoch}, class {label}");
            }
            totals.iter_mut().zip(times).for_each(|(total, times)| *total += times);
        }
        assert!(totals.iter().all(|&total| total > 0), "{totals:?}");
        assert_ne!(Sampler::Balanced.order(&labels, 7, 0), Sampler::Balanced.order(&labels, 7, 1));
        assert_ne!(Sampler::Balanced.order(&labels, 7, 0), Sampler::Balanced.order(&labels, 8, 0));
    }

    #[test]
    fn classes_without_images_and_no_images_at_all_are_no_matter() {
        let order = Sampler::Balanced.order(&[5, 5, 2], 1, 1);
        assert_eq!(order.len(), 3);
        assert!(order.contains(&2));
        assert!(Sampler::Balanced.order(&[], 1, 1).is_empty());
    }
}
