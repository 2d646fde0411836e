//! Weights from elsewhere, and what travels with them.
