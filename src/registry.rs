//! What a program brings of its own, by name: models, images, losses, optimizers, schedules.

use std::sync::{PoisonError, RwLock};

/// Things under their names, in the order in which they came.
pub(crate) struct Registry<T>(RwLock<Vec<(String, T)>>);

impl<T: Clone> Registry<T> {
    pub(crate) const fn new() -> Self {
        Registry(RwLock::new(Vec::new()))
    }

    /// The last one of a name holds.
    pub(crate) fn register(&self, name: impl Into<String>, thing: T) {
        let name = name.into();
        let mut own = self.0.write().unwrap_or_else(PoisonError::into_inner);
        own.retain(|(known, _)| *known != name);
        own.push((name, thing));
    }

    pub(crate) fn find(&self, name: &str) -> Option<T> {
        self.all().into_iter().find(|(known, _)| known == name).map(|(_, thing)| thing)
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> + use<T> {
        self.all().into_iter().map(|(name, _)| name)
    }

    /// All things.
    pub(crate) fn things(&self) -> impl Iterator<Item = T> + use<T> {
        self.all().into_iter().map(|(_, thing)| thing)
    }

    fn all(&self) -> Vec<(String, T)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_of_a_name_holds_and_the_order_is_kept() {
        let own: Registry<u32> = Registry::new();
        for (name, thing) in [("a", 1), ("b", 2), ("a", 3)] {
            own.register(name, thing);
        }
        assert_eq!((own.find("a"), own.find("b"), own.find("c")), (Some(3), Some(2), None));
        assert_eq!(own.names().zip(own.things()).collect::<Vec<_>>(), [("b".to_owned(), 2), ("a".to_owned(), 3)]);
    }
}
