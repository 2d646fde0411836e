//! Two networks for handwritten digits: a small one, and the deep one that recognises nearly all of them.

use super::Model;
use super::options::{Settings, Takes};
use crate::graph::{GraphError, Value};
use crate::nn::{Conv2d, Scope};
use crate::ops::MaxPool2d;

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "mnist_small",
        source: "five convolutions with batch norm and one linear layer, of less than 20,000 parameters",
        input: [1, 28, 28],
        num_classes: 10,
        attributes: &[("filters", Takes::Counts(&[16, 16, 16, 32, 32])), ("dropout", Takes::Probability(0.0))],
        wiring: mnist_small,
    },
    Model {
        name: "mnist_m3",
        source: "An et al. 2020, An ensemble of simple convolutional neural network models for MNIST digit recognition",
        input: [1, 28, 28],
        num_classes: 10,
        attributes: &[],
        wiring: mnist_m3,
    },
];

/// The first convolution halves the image, pooling halves it again before the last two, and the mean over what is left goes
/// to the linear layer.
fn mnist_small(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let (filters, dropout) = (with.counts("filters")?, with.dropout()?);
    let last_two = filters.len().saturating_sub(2);
    let mut y = x;
    for (index, &filters) in filters.iter().enumerate() {
        if index == last_two {
            y = net.max_pool2d(y, MaxPool2d::square(2))?;
        }
        let conv = match index {
            0 => Conv2d::square(filters, 5).stride(2).padding(2),
            _ => Conv2d::square(filters, 3).padding(1),
        };
        y = conv_norm_relu(net, index + 1, y, conv)?;
    }
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    y = net.dropout("dropout", y, dropout)?;
    net.linear("fc", y, with.num_classes)
}

/// An et al. 2020, figure 1, M3: ten convolutions without padding, each with 16 channels more than the one before, and a
/// norm also after the linear layer.
fn mnist_m3(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let mut y = x;
    for layer in 1..=10 {
        y = conv_norm_relu(net, layer, y, Conv2d::square(16 + 16 * layer, 3))?;
    }
    y = net.flatten(y)?;
    y = net.linear_without_bias("fc1", y, with.num_classes)?;
    net.batch_norm("fc1_bn", y)
}

fn conv_norm_relu(net: &mut Scope, layer: usize, x: Value, conv: Conv2d) -> Result<Value, GraphError> {
    let y = net.conv2d(&format!("conv{layer}"), x, conv.without_bias())?;
    let y = net.batch_norm(&format!("conv{layer}_bn"), y)?;
    net.relu(y)
}
