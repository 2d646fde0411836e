//! The parts of a data set.

use super::{DataError, Dataset, LoadOptions, convert, held_out};
use crate::setting::BadSetting;

/// The parts of a data set. All have the same classes and the same image size, but for training images that are kept
/// [larger](LoadOptions::stored).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits {
    /// What is learned from.
    pub train: Dataset,
    /// Decides which checkpoint is the best, where there is such a part; the test images then decide nothing.
    pub validation: Option<Dataset>,
    /// What the result is measured on.
    pub test: Dataset,
    /// What a person should know of how they were read.
    pub notes: Vec<String>,
}

impl Splits {
    /// Training and test images. Without validation images, the test images decide which checkpoint is the best.
    pub fn new(train: Dataset, test: Dataset) -> Self {
        Self { train, validation: None, test, notes: Vec::new() }
    }

    /// With the share `share` of each class of the training images held out for validation, always the same ones, which are
    /// then as `options` say of images that are no training images.
    ///
    /// # Errors
    /// When there are validation images already, no class has two images, or they cannot be read.
    pub(crate) fn with_validation(self, share: f64, options: &LoadOptions) -> Result<Self, DataError> {
        let refused = |rule: &str| Err(BadSetting::new("validation", share, rule).into());
        if self.validation.is_some() {
            return refused("left out where the data have validation images of their own");
        }
        let is_held = held_out::spread(&self.train.labels, self.train.classes.len(), share);
        if !is_held.contains(&true) {
            return refused("given for data with two training images of a class");
        }
        let mut validation = self.train.only(|index| is_held[index]);
        validation.name = format!("{}, held out for validation", validation.name);
        let train = self.train.only(|index| !is_held[index]);
        if options.stored.is_some() {
            let is_held = validation.images.held().is_some();
            validation = convert::converted(validation, options, is_held)?;
        }
        Ok(Self { train, validation: Some(validation), ..self })
    }

    /// The images that decide which checkpoint is the best: those for validation, else those for testing.
    pub fn deciding(&self) -> &Dataset {
        self.validation.as_ref().unwrap_or(&self.test)
    }
}
