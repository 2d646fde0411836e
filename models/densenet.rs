//! DenseNet: each layer sees the channels of all layers before it (Huang et al. 2017).

use super::options::{Attribute, Settings, Takes};
use super::{Model, cifar, imagenet};
use crate::graph::{Conv2d, ConvInit, GraphError, Init, Scope, Value};
use crate::ops::{AvgPool2d, MaxPool2d};

const HUANG: &str = "Huang et al. 2017, Densely connected convolutional networks";
const ATTRIBUTES: &[Attribute] = &[("dropout", Takes::Probability(0.0))];

pub(super) const MODELS: &[Model] = &[
    imagenet("densenet121", HUANG, ATTRIBUTES, |net, x, with| densenet(net, x, with, [6, 12, 24, 16])),
    imagenet("densenet169", HUANG, ATTRIBUTES, |net, x, with| densenet(net, x, with, [6, 12, 32, 32])),
    imagenet("densenet201", HUANG, ATTRIBUTES, |net, x, with| densenet(net, x, with, [6, 12, 48, 32])),
    cifar(
        "densenet40_cifar",
        HUANG,
        &[("growth_rate", Takes::Count(12)), ("dropout", Takes::Probability(0.0))],
        densenet40_cifar,
    ),
];

/// Channels that a layer of a network for ImageNet adds.
const GROWTH: usize = 32;

/// Huang et al. 2017, table 1: DenseNet-B with compression to a half.
fn densenet(net: &mut Scope, x: Value, with: &Settings, blocks: [usize; 4]) -> Result<Value, GraphError> {
    let dropout = with.dropout()?;
    let mut features = net.scope("features");
    let mut y = features.conv2d("conv0", x, conv(64, 7).stride(2))?;
    y = features.batch_norm("norm0", y)?;
    y = features.relu(y);
    y = features.scope("pool0").max_pool2d(y, MaxPool2d::square(3).stride(2).padding(1))?;
    for (index, &layers) in blocks.iter().enumerate() {
        if index > 0 {
            let half = features.channels(y) / 2;
            y = transition(&mut features.scope(format!("transition{index}")), y, half)?;
        }
        let mut block = features.scope(format!("denseblock{}", index + 1));
        for layer in 1..=layers {
            y = dense_layer(&mut block.scope(format!("denselayer{layer}")), y, dropout)?;
        }
    }
    y = features.batch_norm("norm5", y)?;
    y = net.relu(y);
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    let weight = Init::torch_default(net.channels(y));
    net.linear_with("classifier", y, with.num_classes, weight, Init::ZEROS)
}

/// concat(x, H(x)) with H of a 1x1 and a 3x3 convolution, each after its norm and ReLU.
fn dense_layer(net: &mut Scope, x: Value, dropout: f32) -> Result<Value, GraphError> {
    let y = net.batch_norm("norm1", x)?;
    let y = net.relu(y);
    let y = net.conv2d("conv1", y, conv(4 * GROWTH, 1))?;
    let y = net.batch_norm("norm2", y)?;
    let y = net.relu(y);
    let y = net.conv2d("conv2", y, conv(GROWTH, 3))?;
    let y = net.dropout("dropout", y, dropout)?;
    net.concat(&[x, y], 1)
}

fn transition(net: &mut Scope, x: Value, channels: usize) -> Result<Value, GraphError> {
    let y = net.batch_norm("norm", x)?;
    let y = net.relu(y);
    let y = net.conv2d("conv", y, conv(channels, 1))?;
    net.scope("pool").avg_pool2d(y, AvgPool2d::square(2))
}

/// Huang et al. 2017, section 4.2: three blocks of twelve layers of one convolution each.
fn densenet40_cifar(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let growth = with.count("growth_rate")?;
    let dropout = with.dropout()?;
    let mut y = net.conv2d("conv0", x, conv(16, 3))?;
    for block in 1..=3 {
        if block > 1 {
            let channels = net.channels(y);
            y = transition(&mut net.scope(format!("transition{}", block - 1)), y, channels)?;
        }
        for layer in 0..12 {
            y = plain_layer(&mut net.scope(format!("block{block}.{layer}")), y, growth, dropout)?;
        }
    }
    y = net.batch_norm("norm", y)?;
    y = net.relu(y);
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    net.linear("fc", y, with.num_classes)
}

fn plain_layer(net: &mut Scope, x: Value, growth: usize, dropout: f32) -> Result<Value, GraphError> {
    let y = net.batch_norm("norm", x)?;
    let y = net.relu(y);
    let y = net.conv2d("conv", y, conv(growth, 3))?;
    let y = net.dropout("dropout", y, dropout)?;
    net.concat(&[x, y], 1)
}

fn conv(filters: usize, kernel: usize) -> Conv2d {
    Conv2d::square(filters, kernel).padding(kernel / 2).without_bias().init(ConvInit::KaimingNormalFanIn)
}
