//! What is done to a whole graph: the backward pass is added as more nodes, activations and batch norms become part
//! of the ops before them, features are stored in f16 or computed again. All are methods of [`Graph`](crate::graph::Graph).

mod autodiff;
mod fold_batch_norm;
mod fuse_activations;
mod fuse_gradients;
mod half;
mod recompute;
mod segments;
mod sync_batch_norm;

pub use fold_batch_norm::{Fold, Folded};
pub(crate) use sync_batch_norm::{SyncPoint, update_running};
