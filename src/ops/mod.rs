//! Every op the engine knows, one room each: what it is, its shape rule, its gradient, its plain
//! reference, its launch on the GPU, its cost, what it is in ONNX, and its [card](card::Card).
//!
//! To add an op, write one room here and one folder under `shaders/`, and name its card in [`ALL`].

pub(crate) mod activation;
mod batch_norm;
mod binary_cross_entropy;
mod broadcast;
pub mod card;
mod conv;
mod cross_entropy;
pub(crate) mod dropout;
mod elementwise;
mod epilogue;
mod group_norm;
mod images;
mod layout;
mod local_response_norm;
mod loss_rows;
mod losses;
mod matmul;
mod multiply_adds;
mod pad;
mod pool;
mod prelu;
mod reduce;
mod shape;
mod soft_cross_entropy;
mod softmax;
mod walk;

pub use activation::{Activation, ActivationBackward};
pub use batch_norm::{
    BatchNorm, BatchNormInputGradient, BatchNormRunningGradient, BatchNormSums, BatchNormalize, BatchStatistics,
    UpdateRunningStatistics,
};
pub use binary_cross_entropy::{BinaryCrossEntropy, BinaryCrossEntropyBackward};
pub use broadcast::{BroadcastTo, SumTo};
pub use conv::{Conv2d, ConvGeometry, ConvInputGradient, ConvWeightGradient, Linear, output_size};
pub use conv::{ConvKernels, ConvPass, ConvShape};
pub use cross_entropy::{CountCorrect, CrossEntropy, CrossEntropyBackward, RecordMetrics};
pub use dropout::Dropout;
pub use elementwise::{Add, Copy, Fill, Mul, Scale};
pub use epilogue::Activated;
pub use group_norm::{GroupNorm, GroupNormInputGradient, GroupNormSums, GroupNormalize};
pub use images::{Border, ChangeImages, Colour, MixImages, NormalizeImages, UnpackImages};
pub use layout::{Concat, Permute, Slice, ZeroPad};
pub use local_response_norm::{LocalResponseNorm, LocalResponseNormBackward};
pub use loss_rows::{IGNORED_TARGET, Rows};
pub use losses::{Loss, LossBackward};
pub use matmul::MatMul;
pub use multiply_adds::MultiplyAdds;
pub use pad::{Pad2d, PadBackward, PadMode};
pub use pool::{AdaptiveAvgPool2d, AdaptiveAvgPoolBackward, AdaptiveMaxPool2d, AdaptiveMaxPoolBackward};
pub use pool::{AvgPool2d, AvgPoolBackward, MaxPool2d, MaxPoolBackward};
pub use prelu::{PRelu, PReluBackward};
pub use reduce::ChannelSum;
pub(crate) use reduce::sum_parts;
pub use shape::Reshape;
pub use soft_cross_entropy::{SoftCrossEntropy, SoftCrossEntropyBackward};
pub use softmax::{Softmax, SoftmaxBackward};

use crate::tensor::TensorSpec;
use card::Card;

/// The card of every room.
pub static ALL: &[&Card] = &[
    &conv::CARD,
    &activation::CARD,
    &prelu::CARD,
    &elementwise::CARD,
    &broadcast::CARD,
    &reduce::CARD,
    &shape::CARD,
    &layout::CARD,
    &pad::CARD,
    &pool::CARD,
    &pool::ADAPTIVE_MAX,
    &batch_norm::CARD,
    &group_norm::CARD,
    &local_response_norm::CARD,
    &dropout::CARD,
    &softmax::CARD,
    &matmul::CARD,
    &cross_entropy::CARD,
    &soft_cross_entropy::CARD,
    &losses::CARD,
    &binary_cross_entropy::CARD,
    &images::CARD,
    &multiply_adds::CARD,
];

/// Files that several ops import.
pub const SHARED: &[(&str, &str)] = &[
    ("lib/element", "what an invocation takes at once: an element, or four"),
    ("lib/grid", "index of an invocation in a one-dimensional grid that is folded into x and y"),
    ("activation/epilogue", "activation of what a kernel stores, where a plan has merged one into it"),
    ("conv/texture_pixels", "tiles of pixels of the convolutions whose operands are textures"),
    ("pool/adaptive", "windows of adaptive pooling"),
    ("loss/log_sum_exp", "largest logit of a row, and the sum of exponentials less it"),
    ("images/tone", "grey and level of a pixel"),
    ("images/reflected", "a place beyond the end of a line, in its mirror image"),
    ("lib/nan", "bounds and comparisons that hold for NaN"),
    ("lib/strided", "offset of an element that is walked with up to six strides"),
    ("lib/together", "sums over the invocations of a workgroup"),
    ("lib/sum", "sums whose error does not grow with the number of terms"),
];

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
