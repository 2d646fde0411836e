//! Rewrites of a graph that keep what it computes.

mod fold_batch_norm;
mod fuse_activations;

pub use fold_batch_norm::{Fold, Folded};
