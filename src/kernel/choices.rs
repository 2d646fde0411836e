//! Variants of kernels that were measured on a device.

use std::collections::HashMap;

/// What a choice is for: one op, or one pass of it, on tensors of exact sizes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChoiceKey {
    /// The op's name for what it computes.
    pub what: &'static str,
    /// The sizes that tell one problem from another, in the op's own order.
    pub sizes: Vec<usize>,
}

/// Names of variants by what they are for: they come before an op's written rule. What key and name mean is the op's
/// matter; a problem that is not here takes what the rule says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices(HashMap<ChoiceKey, String>);

impl Choices {
    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The variant for exactly this problem.
    pub fn get(&self, key: &ChoiceKey) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// What was there for the problem before.
    pub fn insert(&mut self, key: ChoiceKey, variant: String) -> Option<String> {
        self.0.insert(key, variant)
    }
}

impl FromIterator<(ChoiceKey, String)> for Choices {
    fn from_iter<T: IntoIterator<Item = (ChoiceKey, String)>>(choices: T) -> Self {
        Choices(choices.into_iter().collect())
    }
}
