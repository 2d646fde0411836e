//! VGG: 3x3 convolutions in five stages, each halved by max pooling (Simonyan and Zisserman 2015,
//! table 1).

use super::options::{Attribute, Settings, Takes, WIDTH};
use super::sequential::Layer::{self, Act, Dropout, Linear, LinearNormal, MaxPool};
use super::sequential::sequential;
use super::{Model, cifar, imagenet};
use crate::graph::{GraphError, Value};
use crate::nn::{Conv2d, ConvInit::KaimingNormalFanOut, Scope};
use crate::ops::Activation::Relu;
use crate::ops::MaxPool2d;

const VGG: &str = "Simonyan and Zisserman 2015, Very deep convolutional networks for large-scale image recognition";
const VGG_BN: &str = "Simonyan and Zisserman 2015, with batch norm after each convolution";
const VGG_CIFAR: &str = "Simonyan and Zisserman 2015, with a smaller classifier for 32x32 images";

const ATTRIBUTES: &[Attribute] = &[WIDTH, ("hidden", Takes::Count(4096)), ("dropout", Takes::Probability(0.5))];

pub(super) const MODELS: &[Model] = &[
    imagenet("vgg11", VGG, ATTRIBUTES, |net, x, with| vgg(net, x, with, A, false)),
    imagenet("vgg13", VGG, ATTRIBUTES, |net, x, with| vgg(net, x, with, B, false)),
    imagenet("vgg16", VGG, ATTRIBUTES, |net, x, with| vgg(net, x, with, D, false)),
    imagenet("vgg19", VGG, ATTRIBUTES, |net, x, with| vgg(net, x, with, E, false)),
    imagenet("vgg11_bn", VGG_BN, ATTRIBUTES, |net, x, with| vgg(net, x, with, A, true)),
    imagenet("vgg13_bn", VGG_BN, ATTRIBUTES, |net, x, with| vgg(net, x, with, B, true)),
    imagenet("vgg16_bn", VGG_BN, ATTRIBUTES, |net, x, with| vgg(net, x, with, D, true)),
    imagenet("vgg19_bn", VGG_BN, ATTRIBUTES, |net, x, with| vgg(net, x, with, E, true)),
    cifar("vgg_a_cifar", VGG_CIFAR, &with_norm(512, 0.0), |net, x, with| vgg_cifar(net, x, with, A)),
    cifar("vgg13_cifar", VGG_CIFAR, &with_norm(1024, 0.5), |net, x, with| vgg_cifar(net, x, with, CIFAR13)),
];

const fn with_norm(hidden: usize, dropout: f64) -> [Attribute; 4] {
    let [hidden, dropout] = [("hidden", Takes::Count(hidden)), ("dropout", Takes::Probability(dropout))];
    [("batch_norm", Takes::Flag(false)), WIDTH, hidden, dropout]
}

/// Filters of each convolution, stage by stage; the letters are the table's columns.
type Stages = &'static [&'static [usize]];
const A: Stages = &[&[64], &[128], &[256, 256], &[512, 512], &[512, 512]];
const B: Stages = &[&[64, 64], &[128, 128], &[256, 256], &[512, 512], &[512, 512]];
const D: Stages = &[&[64, 64], &[128, 128], &[256, 256, 256], &[512, 512, 512], &[512, 512, 512]];
const E: Stages = &[&[64, 64], &[128, 128], &[256, 256, 256, 256], &[512, 512, 512, 512], &[512, 512, 512, 512]];
const CIFAR13: Stages = &[&[64, 64], &[128, 128], &[256, 256, 256], &[512, 512, 512]];

fn vgg(net: &mut Scope, x: Value, with: &Settings, stages: Stages, batch_norm: bool) -> Result<Value, GraphError> {
    let dropout = Dropout(with.dropout()?);
    let hidden = with.count("hidden")?;
    let linear = |outputs| LinearNormal(outputs, 0.01);
    let classifier = [linear(hidden), Act(Relu), dropout, linear(hidden), Act(Relu), dropout, linear(with.num_classes)];

    let y = sequential(&mut net.scope("features"), x, &features(stages, with.width(8)?, batch_norm))?;
    let y = net.scope("avgpool").adaptive_avg_pool2d(y, [7, 7])?;
    let y = net.flatten(y)?;
    sequential(&mut net.scope("classifier"), y, &classifier)
}

fn vgg_cifar(net: &mut Scope, x: Value, with: &Settings, stages: Stages) -> Result<Value, GraphError> {
    let hidden = with.count("hidden")?;
    let dropout = Dropout(with.dropout()?);
    let classifier = [Linear(hidden), Act(Relu), dropout, Linear(hidden), Act(Relu), dropout, Linear(with.num_classes)];

    let y = sequential(&mut net.scope("features"), x, &features(stages, with.width(8)?, with.flag("batch_norm")?))?;
    let y = net.flatten(y)?;
    sequential(&mut net.scope("classifier"), y, &classifier)
}

fn features(stages: Stages, width: usize, batch_norm: bool) -> Vec<Layer> {
    let mut layers = Vec::new();
    for stage in stages {
        for &filters in *stage {
            layers.push(Layer::Conv(Conv2d::square(filters / 64 * width, 3).padding(1).init(KaimingNormalFanOut)));
            if batch_norm {
                layers.push(Layer::BatchNorm);
            }
            layers.push(Act(Relu));
        }
        layers.push(MaxPool(MaxPool2d::square(2)));
    }
    layers
}
