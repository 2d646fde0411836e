//! DenseNet: each layer sees the channels of all layers before it (Huang et al. 2017).

use super::options::{Attribute, DEEPEST, LARGEST, STEM, Settings, Takes};
use super::{Model, cifar, imagenet};
use crate::graph::{GraphError, Init, Value};
use crate::nn::{Conv2d, ConvInit, Scope};
use crate::ops::{AvgPool2d, MaxPool2d};

const HUANG: &str = "Huang et al. 2017, Densely connected convolutional networks";
const DROPOUT: Attribute = ("dropout", Takes::Probability(0.0));
const ATTRIBUTES: &[Attribute] = &[
    ("growth_rate", Takes::Count(32)),
    ("num_init_features", Takes::Count(64)),
    ("bn_size", Takes::Count(4)),
    ("compression", Takes::Share(0.5)),
    STEM,
    DROPOUT,
];
const ATTRIBUTES_CIFAR: &[Attribute] = &[
    ("depth", Takes::Count(40)),
    ("growth_rate", Takes::Count(12)),
    ("bottleneck", Takes::Flag(false)),
    ("compression", Takes::Share(1.0)),
    DROPOUT,
];

pub(super) const MODELS: &[Model] = &[
    imagenet("densenet121", HUANG, ATTRIBUTES, |net, x, with| densenet(net, x, with, [6, 12, 24, 16])),
    imagenet("densenet169", HUANG, ATTRIBUTES, |net, x, with| densenet(net, x, with, [6, 12, 32, 32])),
    imagenet("densenet201", HUANG, ATTRIBUTES, |net, x, with| densenet(net, x, with, [6, 12, 48, 32])),
    cifar("densenet40_cifar", HUANG, ATTRIBUTES_CIFAR, densenet_cifar),
];

/// A layer that adds channels to those before it.
#[derive(Clone, Copy)]
struct DenseLayer {
    /// Channels that it adds.
    growth: usize,
    /// Channels between its 1x1 and its 3x3 convolution, where it has both.
    inside: usize,
    dropout: f32,
}

/// Huang et al. 2017, table 1: DenseNet-B, with compression DenseNet-BC.
fn densenet(net: &mut Scope, x: Value, with: &Settings, blocks: [usize; 4]) -> Result<Value, GraphError> {
    let [growth, bn_size] = [with.count("growth_rate")?, with.count("bn_size")?];
    if growth * bn_size > LARGEST {
        let rule = format!("it is at most {LARGEST}");
        return Err(GraphError::attribute("growth_rate * bn_size", growth * bn_size, rule));
    }
    let layer = DenseLayer { growth, inside: bn_size * growth, dropout: with.dropout()? };
    let compression = with.share("compression")?;
    let small = with.has_small_stem()?;
    let channels = with.count("num_init_features")?;

    let mut features = net.scope("features");
    let first = if small { conv(channels, 3) } else { conv(channels, 7).stride(2) };
    let mut y = features.conv2d("conv0", x, first)?;
    y = features.batch_norm("norm0", y)?;
    y = features.relu(y)?;
    if !small {
        y = features.scope("pool0").max_pool2d(y, MaxPool2d::square(3).stride(2).padding(1))?;
    }
    for (index, &layers) in blocks.iter().enumerate() {
        if index > 0 {
            y = transition(&mut features.scope(format!("transition{index}")), y, compression)?;
        }
        let mut block = features.scope(format!("denseblock{}", index + 1));
        for index in 1..=layers {
            y = bottleneck_layer(&mut block.scope(format!("denselayer{index}")), y, layer)?;
        }
    }
    y = features.batch_norm("norm5", y)?;
    y = net.relu(y)?;
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    let weight = Init::torch_default(net.channels(y));
    net.linear_with("classifier", y, with.num_classes, weight, Init::ZEROS)
}

/// concat(x, H(x)) with H of a 1x1 and a 3x3 convolution, each after its norm and ReLU.
fn bottleneck_layer(net: &mut Scope, x: Value, layer: DenseLayer) -> Result<Value, GraphError> {
    let y = net.batch_norm("norm1", x)?;
    let y = net.relu(y)?;
    let y = net.conv2d("conv1", y, conv(layer.inside, 1))?;
    let y = net.batch_norm("norm2", y)?;
    let y = net.relu(y)?;
    let y = net.conv2d("conv2", y, conv(layer.growth, 3))?;
    let y = net.dropout("dropout", y, layer.dropout)?;
    net.concat(&[x, y], 1)
}

/// Half the size, and this share of the channels.
fn transition(net: &mut Scope, x: Value, compression: f64) -> Result<Value, GraphError> {
    let channels = ((net.channels(x) as f64 * compression) as usize).max(1);
    let y = net.batch_norm("norm", x)?;
    let y = net.relu(y)?;
    let y = net.conv2d("conv", y, conv(channels, 1))?;
    net.scope("pool").avg_pool2d(y, AvgPool2d::square(2))
}

/// Huang et al. 2017, section 4.2: three blocks of layers, of one convolution each or with bottlenecks.
fn densenet_cifar(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let growth = with.count("growth_rate")?;
    let layer = DenseLayer { growth, inside: 4 * growth, dropout: with.dropout()? };
    let has_bottlenecks = with.flag("bottleneck")?;
    let compression = with.share("compression")?;
    let layers = layers_of_a_block(with.count("depth")?, has_bottlenecks)?;

    let first = if has_bottlenecks { 2 * growth } else { 16 };
    let mut y = net.conv2d("conv0", x, conv(first, 3))?;
    for block in 1..=3 {
        if block > 1 {
            y = transition(&mut net.scope(format!("transition{}", block - 1)), y, compression)?;
        }
        for index in 0..layers {
            let net = &mut net.scope(format!("block{block}.{index}"));
            y = match has_bottlenecks {
                true => bottleneck_layer(net, y, layer)?,
                false => plain_layer(net, y, layer)?,
            };
        }
    }
    y = net.batch_norm("norm", y)?;
    y = net.relu(y)?;
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    net.linear("fc", y, with.num_classes)
}

/// The first convolution, two transitions and the classifier are the four layers outside of the three blocks.
fn layers_of_a_block(depth: usize, has_bottlenecks: bool) -> Result<usize, GraphError> {
    let convolutions = if has_bottlenecks { 6 } else { 3 };
    match depth > 4 && (depth - 4).is_multiple_of(convolutions) && depth <= DEEPEST {
        true => Ok((depth - 4) / convolutions),
        false => {
            let kind = if has_bottlenecks { "with bottlenecks" } else { "without bottlenecks" };
            let rule = format!("{kind} it is 4 and a multiple of {convolutions}, up to {DEEPEST}");
            Err(GraphError::attribute("depth", depth, rule))
        }
    }
}

/// concat(x, H(x)) with H of a norm, a ReLU and a 3x3 convolution.
fn plain_layer(net: &mut Scope, x: Value, layer: DenseLayer) -> Result<Value, GraphError> {
    let y = net.batch_norm("norm", x)?;
    let y = net.relu(y)?;
    let y = net.conv2d("conv", y, conv(layer.growth, 3))?;
    let y = net.dropout("dropout", y, layer.dropout)?;
    net.concat(&[x, y], 1)
}

fn conv(filters: usize, kernel: usize) -> Conv2d {
    Conv2d::square(filters, kernel).padding(kernel / 2).without_bias().init(ConvInit::KaimingNormalFanIn)
}
