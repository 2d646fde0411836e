//! Optimizers, gradient clipping, weight averaging and learning-rate schedules.
//!
//! An update is nodes of the training graph: parameters, gradients and state lie side by side in
//! packs, so that one dispatch updates them all, and nothing of it is read back.

/// Lets serde read and write a type as the text that `FromStr` and `Display` have.
macro_rules! as_text {
    ($type:ty, $error:ty) => {
        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    };
}

mod attach;
mod attributes;
mod average;
mod averaging;
mod clip;
mod groups;
pub mod objective;
mod rule;
pub mod schedule;
mod step;

pub use attach::{ACCUMULATED, Attached, PART_SHARE, SCALARS, UpdateConfig, accumulate, accumulated_gradients};
pub use average::AverageWeights;
pub use averaging::{AverageError, Averaging, RunAverage};
pub use clip::{ClipScale, SquaredNorm};
pub use groups::{Exclude, Groups, ParameterGroup, Share, Shares};
pub use objective::{LossError, LossFunction, Objective};
pub use rule::{
    Adagrad, Adam, AdamW, GradientTransform, Lion, NAdam, Optimizer, OptimizerError, RmsProp, Sgd, SignSgd,
};
pub use step::OptimizerStep;
