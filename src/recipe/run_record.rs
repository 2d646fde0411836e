//! What a run notes of the data and the device that it began with, to tell later whether they are still the same.

use crate::data::{Dataset, Splits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Noted in the run's configuration and in each of its checkpoints. In a recipe it has no effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunRecord {
    /// Name of the device.
    pub device: String,
    /// Whether a checkpoint has been written: one that is missing then has been lost.
    pub has_checkpoint: bool,
    /// Names of the classes; a label indexes them.
    pub classes: Vec<String>,
    /// How often each class counts in the loss, where they do not count alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f32>>,
    /// By the name of the split: `train`, `validation`, `test`.
    pub splits: BTreeMap<String, SplitRecord>,
}

/// The images of a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRecord {
    /// [C, H, W] of each image.
    pub shape: [usize; 3],
    /// Images of each class.
    pub counts: Vec<usize>,
    /// CRC-32C of the labels in their order, in hexadecimal digits.
    pub labels: String,
    /// CRC-32C of the images' bytes in their order, as they are before normalisation.
    pub images: String,
}

/// Classes that are told with their counts at most.
const MOST_TOLD: usize = 5;

impl RunRecord {
    /// Of a run that begins on these data.
    pub fn of(splits: &Splits, device: String) -> RunRecord {
        let named =
            [("train", Some(&splits.train)), ("validation", splits.validation.as_ref()), ("test", Some(&splits.test))];
        let there = named.into_iter().filter_map(|(name, dataset)| Some((name.to_owned(), SplitRecord::of(dataset?))));
        let classes = splits.train.classes.clone();
        RunRecord { device, has_checkpoint: false, classes, class_weights: None, splits: there.collect() }
    }

    /// How the data `now` differ from these, each difference in a few words; none when they are the same.
    pub fn differences(&self, now: &RunRecord) -> Vec<String> {
        let mut told = Vec::new();
        let missing = |of: &RunRecord, other: &RunRecord| -> Vec<String> {
            of.classes.iter().filter(|class| !other.classes.contains(class)).map(|class| format!("`{class}`")).collect()
        };
        let (gone, new) = (missing(self, now), missing(now, self));
        if !gone.is_empty() {
            told.push(format!("classes that are gone: {}", list(&gone)));
        }
        if !new.is_empty() {
            told.push(format!("classes that are new: {}", list(&new)));
        }
        if told.is_empty() && self.classes != now.classes {
            told.push("the classes have another order".to_owned());
        }
        for (name, split) in &self.splits {
            match now.splits.get(name) {
                None => told.push(format!("there are no {name} images any more")),
                Some(held) => told.extend(split.difference(name, &self.classes, held, &now.classes)),
            }
        }
        let others = now.splits.keys().filter(|name| !self.splits.contains_key(*name));
        told.extend(others.map(|name| format!("there are {name} images now")));
        told
    }
}

impl SplitRecord {
    fn of(dataset: &Dataset) -> SplitRecord {
        let text = |checksum: u32| format!("{checksum:08x}");
        SplitRecord {
            shape: dataset.shape(),
            counts: dataset.class_counts(),
            labels: text(crc32c::crc32c(bytemuck::cast_slice(&dataset.labels))),
            images: text(dataset.images.checksum(dataset.image_len())),
        }
    }

    fn images(&self) -> usize {
        self.counts.iter().sum()
    }

    fn difference(&self, name: &str, classes: &[String], now: &SplitRecord, classes_now: &[String]) -> Option<String> {
        if self.shape != now.shape {
            return Some(format!("the {name} images are {:?}, and were {:?}", now.shape, self.shape));
        }
        let count_now = |class: &String| {
            let place = classes_now.iter().position(|other| other == class);
            place.and_then(|place| now.counts.get(place)).copied().unwrap_or(0)
        };
        let counts = classes.iter().zip(&self.counts).map(|(class, &before)| (class, before, count_now(class)));
        let changed: Vec<String> = counts
            .filter(|(_, before, after)| before != after)
            .map(|(class, before, after)| format!("{before} of `{class}` that became {after}"))
            .collect();
        let by_class = if changed.is_empty() { String::new() } else { format!(", with {}", list(&changed)) };
        if self.images() != now.images() {
            return Some(format!("there are {} {name} images, and were {}{by_class}", now.images(), self.images()));
        }
        if !changed.is_empty() {
            return Some(format!("the {name} images are others{by_class}"));
        }
        match (self.labels == now.labels, self.images == now.images) {
            (true, true) => None,
            (false, true) => Some(format!("the {name} images have other labels")),
            (true, false) => Some(format!("the {name} images are others, or in another order")),
            (false, false) => Some(format!("the {name} images and their labels are others, or in another order")),
        }
    }
}

/// The first of `items`, and how many more there are.
fn list(items: &[String]) -> String {
    let first = items[..items.len().min(MOST_TOLD)].join(", ");
    match items.len().saturating_sub(MOST_TOLD) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Pixels;

    fn dataset(classes: &[&str], labels: &[u32]) -> Dataset {
        Dataset {
            name: "here".into(),
            channels: 1,
            height: 1,
            width: 1,
            classes: classes.iter().map(|&class| class.to_owned()).collect(),
            images: Pixels::Held((0..labels.len() as u8).collect()),
            labels: labels.to_vec(),
        }
    }

    fn record(classes: &[&str], labels: &[u32]) -> RunRecord {
        let splits = Splits::new(dataset(classes, labels), dataset(classes, &[0, 1]));
        RunRecord::of(&splits, "device".to_owned())
    }

    #[test]
    fn what_changed_is_told_in_words_and_counts() {
        let begun = record(&["cat", "dog"], &[0, 0, 1, 1]);
        assert!(begun.differences(&begun).is_empty());
        let told = |now: RunRecord| begun.differences(&now).join("; ");
        assert_eq!(
            told(record(&["cat", "dog"], &[0, 0, 0, 1, 1])),
            "there are 5 train images, and were 4, with 2 of `cat` that became 3"
        );
        assert_eq!(told(record(&["cat", "dog"], &[0, 1, 0, 1])), "the train images have other labels");
        assert_eq!(told(record(&["dog", "cat"], &[0, 0, 1, 1])), "the classes have another order");
        assert_eq!(
            told(record(&["cat", "cow"], &[0, 0, 1, 1])),
            "classes that are gone: `dog`; classes that are new: `cow`; the test images are others, with 1 of `dog` that \
             became 0; the train images are others, with 2 of `dog` that became 0"
        );
        let mut splits = Splits::new(dataset(&["cat", "dog"], &[0, 0, 1, 1]), dataset(&["cat", "dog"], &[0, 1]));
        splits.test.images = vec![0, 9].into();
        assert_eq!(told(RunRecord::of(&splits, String::new())), "the test images are others, or in another order");
    }
}
