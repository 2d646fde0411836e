//! The network of airbench94 (Jordan 2024): whitening filters, three blocks of two convolutions, and one linear layer.

use super::options::{Settings, Takes};
use super::{Model, cifar};
use crate::graph::{GraphError, Value};
use crate::nn::{BatchNorm, Conv2d, ConvInit, Scope};
use crate::ops::{Activation, MaxPool2d};

pub(super) const MODELS: &[Model] = &[cifar(
    "airbench94",
    "Jordan 2024, 94% on CIFAR-10 in 3.29 seconds on a single GPU",
    &[("widths", Takes::Counts(&[64, 256, 256])), ("scale", Takes::Number(1.0 / 9.0))],
    airbench94,
)];

/// The filters of the first layer are meant to be whitening ones, which the images decide (`whiten`), and to stay.
fn airbench94(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let kernel = 2;
    // Both signs of each direction in a patch.
    let filters = 2 * net.channels(x) * kernel * kernel;
    let mut y = net.conv2d("whiten", x, Conv2d::square(filters, kernel).init(ConvInit::KaimingNormalFanIn))?;
    y = net.activation(y, Activation::Gelu)?;
    for (index, width) in with.counts("widths")?.into_iter().enumerate() {
        y = block(&mut net.scope(format!("block{}", index + 1)), y, width)?;
    }
    y = net.max_pool2d(y, MaxPool2d::square(3))?;
    y = net.flatten(y)?;
    y = net.linear_without_bias("head", y, with.num_classes)?;
    net.scale(y, with.number("scale")?)
}

fn block(net: &mut Scope, x: Value, width: usize) -> Result<Value, GraphError> {
    // Its statistics follow the batches closely; its weights are meant to stay at 1.
    let norm = BatchNorm { eps: 1e-12, momentum: 0.4, ..BatchNorm::default() };
    let conv = Conv2d::square(width, 3).padding(1).without_bias().init(ConvInit::Dirac);
    let y = net.conv2d("conv1", x, conv)?;
    let y = net.max_pool2d(y, MaxPool2d::square(2))?;
    let y = net.batch_norm_with("norm1", y, norm)?;
    let y = net.activation(y, Activation::Gelu)?;
    let y = net.conv2d("conv2", y, conv)?;
    let y = net.batch_norm_with("norm2", y, norm)?;
    net.activation(y, Activation::Gelu)
}
