//! Images with the names of their classes, before the classes have numbers.

use super::encoded::Encoded;
use super::error::DataError;
use super::files::{FileSplits, Files};
use super::folder::{TEST, TRAIN, VALIDATION};
use std::collections::{BTreeSet, HashMap};

/// An image and the name of its class.
pub(super) struct Listed {
    pub image: Encoded,
    pub class: String,
    pub split: Split,
}

/// What an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    Train,
    Validation,
    Test,
}

impl Split {
    /// The split of a name such as `val`, in any case.
    pub(super) fn named(name: &str) -> Option<Split> {
        let is_one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        match () {
            () if is_one_of(&TRAIN) => Some(Split::Train),
            () if is_one_of(&VALIDATION) => Some(Split::Validation),
            () if is_one_of(&TEST) => Some(Split::Test),
            () => None,
        }
    }
}

/// The splits of a list, whose classes are those of the training images: in the order of their numbers where all are
/// numbers, else of their names. `name` is the source as people read it.
///
/// # Errors
/// When an image that is not trained on has another class.
pub(super) fn splits(listed: Vec<Listed>, name: &str, notes: Vec<String>) -> Result<FileSplits, DataError> {
    let of_training = listed.iter().filter(|image| image.split == Split::Train);
    let names: BTreeSet<&str> = of_training.map(|image| image.class.as_str()).collect();
    let mut classes: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let numbers: Option<Vec<u64>> = classes.iter().map(|class| class.parse().ok()).collect();
    if numbers.is_some() {
        classes.sort_by_key(|class| class.parse::<u64>().ok());
    }
    let labels: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
    let new = |split: &str| Files::new(format!("{name} ({split})"));
    let (mut train, mut validation, mut test) = (new("train"), new("validation"), new("test"));
    for Listed { image, class, split } in listed {
        let Some(&label) = labels.get(class.as_str()) else {
            return Err(DataError::StrayClass { path: image.path(), class, known: classes });
        };
        match split {
            Split::Train => train.push(image, label),
            Split::Validation => validation.push(image, label),
            Split::Test => test.push(image, label),
        }
    }
    let unless_empty = |files: Files| (!files.is_empty()).then_some(files);
    let (validation, test) = (unless_empty(validation), unless_empty(test));
    Ok(FileSplits { classes, train, validation, test, notes })
}
