//! What MobileNets and EfficientNets are made of: convolution units and inverted residual blocks.

use crate::graph::{GraphError, Value};
use crate::nn::{BatchNorm, Conv2d, ConvInit, Scope};
use crate::ops::Activation;

/// Convolution `0`, padded so that stride 1 keeps the size, batch norm `1`, and an activation.
pub(super) fn unit(
    net: &mut Scope,
    x: Value,
    conv: Conv2d,
    norm: BatchNorm,
    act: Option<Activation>,
) -> Result<Value, GraphError> {
    let y = net.conv2d("0", x, conv)?;
    let y = net.batch_norm_with("1", y, norm)?;
    Ok(match act {
        Some(function) => net.activation(y, function)?,
        None => y,
    })
}

/// Convolution without bias, padded so that stride 1 keeps the size.
pub(super) fn conv(filters: usize, kernel: usize, stride: usize) -> Conv2d {
    Conv2d::square(filters, kernel)
        .stride(stride)
        .padding(kernel / 2)
        .without_bias()
        .init(ConvInit::KaimingNormalFanOut)
}

/// One convolution a channel.
pub(super) fn depthwise(channels: usize, kernel: usize, stride: usize) -> Conv2d {
    conv(channels, kernel, stride).groups(channels)
}

/// Channels widened by a 1x1 convolution, each filtered on its own, weighed, and narrowed again.
pub(super) struct InvertedResidual {
    /// Channels inside.
    pub expanded: usize,
    pub kernel: usize,
    pub stride: usize,
    pub squeeze: Option<Squeeze>,
    /// Channels given.
    pub channels: usize,
    pub act: Activation,
    pub norm: BatchNorm,
    /// Probability that all but the shortcut is dropped, of an image in training.
    pub stochastic_depth: f32,
}

/// Squeeze-and-excitation with 1x1 convolutions.
#[derive(Clone, Copy)]
pub(super) struct Squeeze {
    pub channels: usize,
    pub act: Activation,
    pub gate: Activation,
}

impl InvertedResidual {
    /// Sandler et al. 2018, figure 3b; with a squeeze, Howard et al. 2019, figure 4.
    pub(super) fn apply(&self, net: &mut Scope, x: Value) -> Result<Value, GraphError> {
        let channels = net.channels(x);
        let widened = self.expanded != channels;
        let filter = usize::from(widened);
        let squeeze = filter + 1;
        let project = squeeze + usize::from(self.squeeze.is_some());

        let mut y = x;
        if widened {
            y = unit(&mut net.scope("block.0"), y, conv(self.expanded, 1, 1), self.norm, Some(self.act))?;
        }
        let each = depthwise(self.expanded, self.kernel, self.stride);
        y = unit(&mut net.scope(format!("block.{filter}")), y, each, self.norm, Some(self.act))?;
        if let Some(weigh) = self.squeeze {
            y = weigh.apply(&mut net.scope(format!("block.{squeeze}")), y)?;
        }
        y = unit(&mut net.scope(format!("block.{project}")), y, conv(self.channels, 1, 1), self.norm, None)?;
        match self.stride == 1 && channels == self.channels {
            true => {
                let y = net.stochastic_depth("stochastic_depth", y, self.stochastic_depth)?;
                net.add(y, x)
            }
            false => Ok(y),
        }
    }
}

impl Squeeze {
    /// y = x * gate(fc2(act(fc1(mean of x over H and W)))) (Hu et al. 2018, figure 2).
    fn apply(&self, net: &mut Scope, x: Value) -> Result<Value, GraphError> {
        let channels = net.channels(x);
        let y = net.scope("avgpool").global_avg_pool2d(x)?;
        let y = net.conv2d("fc1", y, Conv2d::square(self.channels, 1).init(ConvInit::KaimingNormalFanOut))?;
        let y = net.activation(y, self.act)?;
        let y = net.conv2d("fc2", y, Conv2d::square(channels, 1).init(ConvInit::KaimingNormalFanOut))?;
        let y = net.activation(y, self.gate)?;
        net.mul(x, y)
    }
}

/// The multiple of 8 nearest to `channels`, but not below nine tenths of it.
pub(super) fn multiple_of_8(channels: f64) -> usize {
    let nearest = (((channels + 4.0) / 8.0) as usize * 8).max(8);
    match (nearest as f64) < 0.9 * channels {
        true => nearest + 8,
        false => nearest,
    }
}
