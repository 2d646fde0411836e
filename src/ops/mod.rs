//! Every op the engine knows, one file each: what it is, its shape rule, its gradient, its plain
//! reference, its launch on the GPU and its cost.
//!
//! To add an op, write one file here and one folder under `shaders/`, and name the file below.

mod activation;
mod batch_norm;
mod broadcast;
pub mod catalog;
mod conv;
mod cross_entropy;
mod dropout;
mod elementwise;
mod epilogue;
mod layout;
mod local_response_norm;
mod losses;
mod matmul;
mod multiply_adds;
mod pool;
mod reduce;
mod shape;
mod softmax;
mod walk;

pub use activation::{Activation, ActivationBackward};
pub use batch_norm::{BatchNormInputGradient, BatchNormSums, BatchNormalize, BatchStatistics, UpdateRunningStatistics};
pub use broadcast::{BroadcastTo, SumTo};
pub use conv::{Conv2d, ConvGeometry, ConvInputGradient, ConvWeightGradient, Linear, output_size};
pub use conv::{ConvKernels, ConvPass, ConvShape};
pub use cross_entropy::{CountCorrect, CrossEntropy, CrossEntropyBackward, IGNORED_TARGET, RecordMetrics};
pub use dropout::Dropout;
pub use elementwise::{Add, Copy, Fill, Mul, Scale};
pub use epilogue::Activated;
pub use layout::{Concat, Permute, Slice, ZeroPad};
pub use local_response_norm::{LocalResponseNorm, LocalResponseNormBackward};
pub use losses::{Loss, LossBackward};
pub use matmul::MatMul;
pub use multiply_adds::MultiplyAdds;
pub use pool::{AdaptiveAvgPool2d, AdaptiveAvgPoolBackward, AvgPool2d, AvgPoolBackward, MaxPool2d, MaxPoolBackward};
pub use reduce::ChannelSum;
pub(crate) use reduce::sum_parts;
pub use shape::Reshape;
pub use softmax::{Softmax, SoftmaxBackward};

use crate::tensor::TensorSpec;

/// Checks the number of inputs of an op.
pub(crate) fn expect_inputs(inputs: &[&TensorSpec], count: usize) -> Result<(), String> {
    match inputs.len() == count {
        true => Ok(()),
        false => Err(format!("it takes {count} inputs, not {}", inputs.len())),
    }
}

/// Checks an attribute that becomes a constant of a kernel.
pub(crate) fn expect_finite(attribute: &str, value: f32) -> Result<(), String> {
    match value.is_finite() {
        true => Ok(()),
        false => Err(format!("its {attribute} is {value}, but must be a finite number")),
    }
}

/// The four sizes of an image tensor.
pub(crate) fn expect_nchw(spec: &TensorSpec) -> Result<[usize; 4], String> {
    spec.shape.nchw().ok_or_else(|| "it takes images of shape [N, C, H, W]".to_owned())
}
