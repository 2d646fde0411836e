//! Network in network: 1x1 convolutions after each larger one, no linear layer.

use super::options::{Settings, Takes};
use super::sequential::Layer::{Act, Dropout, MaxPool};
use super::sequential::{conv, sequential};
use super::{Model, cifar};
use crate::graph::{GraphError, Value};
use crate::nn::Scope;
use crate::ops::Activation::Relu;
use crate::ops::MaxPool2d;

pub(super) const MODELS: &[Model] =
    &[cifar("nin_cifar", "Lin et al. 2014, Network in network", &[("dropout", Takes::Probability(0.5))], nin_cifar)];

/// Lin et al. 2014, figure 2.
fn nin_cifar(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let pool = MaxPool(MaxPool2d::square(3).stride(2).ceil_mode());
    let dropout = Dropout(with.dropout()?);
    #[rustfmt::skip]
    let features = [
        conv(192, 5), Act(Relu), conv(160, 1), Act(Relu), conv(96, 1), Act(Relu), pool, dropout,
        conv(192, 5), Act(Relu), conv(192, 1), Act(Relu), conv(192, 1), Act(Relu), pool, dropout,
        conv(192, 3), Act(Relu), conv(192, 1), Act(Relu), conv(with.num_classes, 1), Act(Relu),
    ];
    let y = sequential(&mut net.scope("features"), x, &features)?;
    let y = net.scope("avgpool").global_avg_pool2d(y)?;
    net.flatten(y)
}
