//! AlexNet: one network of five convolutions and three linear layers.

use super::options::{Attribute, Settings, Takes, WIDTH};
use super::sequential::Layer::{Act, Conv, Dropout, Linear, MaxPool};
use super::sequential::{conv, sequential};
use super::{Model, cifar, imagenet};
use crate::graph::{GraphError, Value};
use crate::nn::{Conv2d, Scope};
use crate::ops::MaxPool2d;

/// The paper of 2012 compares ReLU with tanh, in figure 1.
const ATTRIBUTES: &[Attribute] =
    &[WIDTH, ("activation", Takes::Word(&["relu", "tanh"])), ("dropout", Takes::Probability(0.5))];

pub(super) const MODELS: &[Model] = &[
    imagenet(
        "alexnet",
        "Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks",
        ATTRIBUTES,
        alexnet,
    ),
    cifar(
        "alexnet_cifar",
        "Krizhevsky et al. 2012, narrower and with smaller kernels for 32x32 images",
        ATTRIBUTES,
        alexnet_cifar,
    ),
];

#[rustfmt::skip]
fn alexnet(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let width = with.width(6)?;
    let act = Act(with.activation("activation")?);
    let features = [
        Conv(Conv2d::square(width, 11).stride(4).padding(2)), act, MaxPool(MaxPool2d::square(3).stride(2)),
        conv(3 * width, 5), act, MaxPool(MaxPool2d::square(3).stride(2)),
        conv(6 * width, 3), act,
        conv(4 * width, 3), act,
        conv(4 * width, 3), act, MaxPool(MaxPool2d::square(3).stride(2)),
    ];
    let dropout = Dropout(with.dropout()?);
    let classifier = [dropout, Linear(4096), act, dropout, Linear(4096), act, Linear(with.num_classes)];

    let y = sequential(&mut net.scope("features"), x, &features)?;
    let y = net.scope("avgpool").adaptive_avg_pool2d(y, [6, 6])?;
    let y = net.flatten(y)?;
    sequential(&mut net.scope("classifier"), y, &classifier)
}

#[rustfmt::skip]
fn alexnet_cifar(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let width = with.width(6)?;
    let act = Act(with.activation("activation")?);
    let features = [
        conv(width, 5), act, MaxPool(MaxPool2d::square(3).stride(2)),
        conv(3 * width, 5), act, MaxPool(MaxPool2d::square(3).stride(2)),
        conv(6 * width, 3), act,
        conv(4 * width, 3), act,
        conv(4 * width, 3), act, MaxPool(MaxPool2d::square(3).stride(2)),
    ];
    let dropout = Dropout(with.dropout()?);
    let classifier = [dropout, Linear(1024), act, dropout, Linear(512), act, Linear(with.num_classes)];

    let y = sequential(&mut net.scope("features"), x, &features)?;
    let y = net.flatten(y)?;
    sequential(&mut net.scope("classifier"), y, &classifier)
}
