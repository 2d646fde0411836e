//! What is written as a name with attributes, for the help and the documentation.

use super::{Attribute, Values};
use std::fmt;

/// A loss or an average as it is written, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Before the colon.
    pub name: &'static str,
    /// What may be set of it.
    pub attributes: &'static [Attribute],
    /// What it is.
    pub about: &'static str,
}

impl Listing {
    pub(crate) const fn new(name: &'static str, attributes: &'static [Attribute], about: &'static str) -> Listing {
        Listing { name, attributes, about }
    }

    /// With the defaults of the attributes, such as `focal:alpha=1,gamma=2`.
    pub fn text(&self) -> String {
        named_values(self.name, &Values::of(self.attributes))
    }
}

/// `NAME:attribute=value,...`, every attribute named.
pub(crate) fn named_values(name: &str, values: &Values) -> String {
    let values: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if values.is_empty() { name.to_owned() } else { format!("{name}:{}", values.join(",")) }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text(), self.about)
    }
}
