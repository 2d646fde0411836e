//! Data sources that a program brings itself.

use super::{DataError, LoadOptions, Splits};
use crate::registry::Registry;
use std::error::Error;
use std::sync::Arc;

/// Where a program of its own gets its images from.
///
/// A function `|rest, options| ...` is one. `rest` is what stands after the name and a colon in the source's text, such as a
/// folder. Images that do not have the size and the channels of `options` are brought to them afterwards. Of more images than
/// memory holds it may give a [stream](crate::data::Dataset::streamed).
pub trait Examples: Send + Sync {
    /// Reads all images and labels.
    ///
    /// # Errors
    /// Whatever goes wrong; the text reaches the user, with the source's name.
    fn load(&self, rest: &str, options: &LoadOptions) -> Result<Splits, Box<dyn Error>>;
}

impl<F: Fn(&str, &LoadOptions) -> Result<Splits, Box<dyn Error>> + Send + Sync> Examples for F {
    fn load(&self, rest: &str, options: &LoadOptions) -> Result<Splits, Box<dyn Error>> {
        self(rest, options)
    }
}

static OWN: Registry<Arc<dyn Examples>> = Registry::new();

/// Gives this program a data source of its own: `NAME` and `NAME:REST` then stand for it, in recipes and checkpoints too.
/// The last one of a name holds; the names of the built-in sources keep their meaning.
pub fn register(name: impl Into<String>, examples: impl Examples + 'static) {
    OWN.register(name, Arc::new(examples));
}

pub(super) fn is_registered(name: &str) -> bool {
    OWN.find(name).is_some()
}

pub(super) fn load(name: &str, rest: &str, options: &LoadOptions) -> Result<Splits, DataError> {
    let failed = |problem: String| DataError::Own { name: name.to_owned(), problem };
    let examples = OWN.find(name).ok_or_else(|| failed("this program does not have that source".to_owned()))?;
    let splits = examples.load(rest, options).map_err(|error| failed(error.to_string()))?;
    let parts = [Some(&splits.train), splits.validation.as_ref(), Some(&splits.test)];
    parts.into_iter().flatten().try_for_each(|part| part.check().map_err(failed))?;
    Ok(splits)
}
