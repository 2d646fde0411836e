//! Runs whose numbers stop being finite.
