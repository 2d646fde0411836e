//! Optimizers, gradient clipping, weight averaging and learning-rate schedules.
//!
//! An update is nodes of the training graph: parameters, gradients and state lie side by side in
//! packs, so that one dispatch updates them all, and nothing of it is read back.

mod apply;
mod attach;
mod average;
mod averaging;
mod buckets;
mod card;
mod class_weights;
mod clip;
mod gradient;
mod groups;
mod loss_scale;
pub mod objective;
mod optimizer;
mod orthogonal;
mod rule;
mod rules;
pub mod schedule;
mod step;
mod trust;

pub(crate) use card::CARD;

// Whoever writes a rule or a schedule says what may be set of it.
pub use crate::attribute::{Attribute, AttributeValue, Listing, Range, Takes, Values};

pub use apply::ApplyDirections;
pub use attach::{
    ACCUMULATED, Attached, NotFinite, PART_SHARE, SCALARS, UpdateConfig, accumulate, accumulated_gradients,
};
pub use average::AverageWeights;
pub use averaging::{AverageError, Averaging, RunAverage};
pub use buckets::{Bucket, in_buckets};
pub use class_weights::{ClassWeights, ClassWeightsError};
pub use clip::{ClipScale, SquaredNorm};
pub use gradient::GradientTransform;
pub use groups::{Exclude, Groups, ParameterGroup, Share, Shares};
pub use loss_scale::{AdaptScale, LOSS_SCALE, SKIPPED_STEPS, UnscaleGradients, loss_scale};
pub use objective::{LossError, LossFunction, Objective};
pub use optimizer::{Optimizer, OptimizerError};
pub use orthogonal::{UnitNorm, WeightedSum, orthogonalize};
pub use rule::{ALL, Decay, Directed, Direction, Element, Place, Rule, register, share};
pub use rules::{Adadelta, Adagrad, Adam, AdamW, Adamax, Lamb, Lion, Muon, NAdam, RAdam, RmsProp, Sgd, SignSgd};
pub use step::OptimizerStep;
pub use trust::TrustRatios;
