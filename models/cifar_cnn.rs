//! Two plain networks for CIFAR-10: three rounds of convolution and pooling, and CS231n's.

use super::options::{Settings, Takes, activations};
use super::sequential::Layer::{Act, BatchNorm, Dropout, Flatten, Linear, MaxPool};
use super::sequential::{conv, sequential};
use super::{Model, cifar};
use crate::graph::{GraphError, Value};
use crate::nn::Scope;
use crate::ops::{Activation::Relu, MaxPool2d};

pub(super) const MODELS: &[Model] = &[
    cifar(
        "cifar_cnn",
        "three rounds of convolution, batch norm, leaky ReLU and pooling, then three linear layers",
        &[
            ("filters", Takes::Counts(&[64, 128, 256])),
            ("activation", Takes::Word(&activations(["leaky_relu", "relu"]))),
            ("negative_slope", Takes::Number(0.1)),
            ("use_batchnorm", Takes::Flag(true)),
            ("dropout", Takes::Probability(0.5)),
        ],
        cifar_cnn,
    ),
    cifar("cs231n_cnn", "Stanford's CS231n, assignment 2: four convolutions and one linear layer", &[], cs231n_cnn),
];

fn cifar_cnn(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let act = Act(with.activation("activation")?);
    let dropout = Dropout(with.dropout()?);
    let batch_norm = with.flag("use_batchnorm")?;

    let mut features = Vec::new();
    for filters in with.counts("filters")? {
        features.push(conv(filters, 3));
        if batch_norm {
            features.push(BatchNorm);
        }
        features.extend([act, MaxPool(MaxPool2d::square(2))]);
    }
    let classifier = [Linear(512), act, dropout, Linear(256), act, dropout, Linear(with.num_classes)];

    let y = sequential(&mut net.scope("features"), x, &features)?;
    let y = net.flatten(y)?;
    sequential(&mut net.scope("classifier"), y, &classifier)
}

fn cs231n_cnn(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let halve = MaxPool(MaxPool2d::square(2));
    #[rustfmt::skip]
    let layers = [
        conv(32, 5), BatchNorm, Act(Relu),
        conv(64, 3), BatchNorm, Act(Relu), halve,
        conv(128, 5), BatchNorm, Act(Relu), halve,
        Flatten, Linear(with.num_classes),
    ];
    sequential(net, x, &layers)
}
