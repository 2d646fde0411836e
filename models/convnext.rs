//! ConvNeXt: a ResNet brought up to date step by step.

use super::options::Settings;
use super::{Model, imagenet};
use crate::graph::{Conv2d, ConvInit, GraphError, Init, LayerNorm, Scope, Value};
use crate::ops::Activation;

const LIU: &str = "Liu et al. 2022, A ConvNet for the 2020s, without stochastic depth";

pub(super) const MODELS: &[Model] = &[
    imagenet("convnext_tiny", LIU, &[], |net, x, with| convnext(net, x, with, 96, [3, 3, 9, 3])),
    imagenet("convnext_small", LIU, &[], |net, x, with| convnext(net, x, with, 96, [3, 3, 27, 3])),
    imagenet("convnext_base", LIU, &[], |net, x, with| convnext(net, x, with, 128, [3, 3, 27, 3])),
];

const NORM: LayerNorm = LayerNorm { eps: 1e-6, dims: 1, affine: true };
// torchvision cuts its normal at ±2, a hundred deviations away.
const WEIGHT: Init = Init::Normal { std: 0.02 };
const CONV: ConvInit = ConvInit::Normal(0.02);

/// Liu et al. 2022, table 9: stages of blocks, each of twice the channels and half the size.
fn convnext(
    net: &mut Scope,
    x: Value,
    with: &Settings,
    channels: usize,
    stages: [usize; 4],
) -> Result<Value, GraphError> {
    let mut y = net.conv2d("features.0.0", x, Conv2d::square(channels, 4).stride(4).init(CONV))?;
    y = channel_norm(net, "features.0.1", y)?;
    for (stage, blocks) in stages.into_iter().enumerate() {
        if stage > 0 {
            let mut down = net.scope(format!("features.{}", 2 * stage));
            y = channel_norm(&mut down, "0", y)?;
            y = down.conv2d("1", y, Conv2d::square(channels << stage, 2).stride(2).init(CONV))?;
        }
        for block in 0..blocks {
            y = inverted_bottleneck(&mut net.scope(format!("features.{}.{block}", 2 * stage + 1)), y)?;
        }
    }
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    y = net.layer_norm("classifier.0", y, NORM)?;
    net.linear_with("classifier.2", y, with.num_classes, WEIGHT, Init::ZEROS)
}

/// Liu et al. 2022, figure 4, right.
fn inverted_bottleneck(net: &mut Scope, x: Value) -> Result<Value, GraphError> {
    let channels = net.channels(x);
    let scale = net.parameter("layer_scale", [channels, 1, 1], Init::Constant(1e-6))?;
    let filter = Conv2d::square(channels, 7).padding(3).groups(channels).init(CONV);
    let y = net.conv2d("block.0", x, filter)?;
    let y = net.permute(y, &[0, 2, 3, 1])?;
    let y = net.layer_norm("block.2", y, NORM)?;
    let y = net.linear_with("block.3", y, 4 * channels, WEIGHT, Init::ZEROS)?;
    let y = net.activation(y, Activation::Gelu);
    let y = net.linear_with("block.5", y, channels, WEIGHT, Init::ZEROS)?;
    let y = net.permute(y, &[0, 3, 1, 2])?;
    let y = net.mul(y, scale)?;
    net.add(y, x)
}

/// Layer norm over the channels of each pixel.
fn channel_norm(net: &mut Scope, name: &str, x: Value) -> Result<Value, GraphError> {
    let y = net.permute(x, &[0, 2, 3, 1])?;
    let y = net.layer_norm(name, y, NORM)?;
    net.permute(y, &[0, 3, 1, 2])
}
