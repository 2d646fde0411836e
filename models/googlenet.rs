//! GoogLeNet: inception modules, which see one image through four kernels at once.

use super::options::{Settings, Takes};
use super::{Model, cifar, imagenet};
use crate::graph::{GraphError, Init, Value};
use crate::nn::{BatchNorm, Conv2d, ConvInit, Scope};
use crate::ops::MaxPool2d;

pub(super) const MODELS: &[Model] = &[
    imagenet(
        "googlenet",
        "Szegedy et al. 2015, Going deeper with convolutions, with batch norm",
        &[("aux_logits", Takes::Flag(false)), ("dropout", Takes::Probability(0.2))],
        googlenet,
    ),
    cifar(
        "googlenet_cifar",
        "Szegedy et al. 2015, with a stem for 32x32 images",
        &[("batch_norm", Takes::Flag(true)), ("dropout", Takes::Probability(0.4))],
        googlenet_cifar,
    ),
];

/// Convolution, batch norm, ReLU.
#[derive(Clone, Copy)]
struct Unit {
    norm: Option<BatchNorm>,
    init: ConvInit,
    /// Kernel of the inception's third branch: the paper's 5, or the 3 that torchvision has there.
    third_kernel: usize,
}

/// One row of table 1.
struct Inception {
    name: &'static str,
    /// Channels of the 1x1 branch.
    one: usize,
    /// Channels of the 3x3 branch, reduced and given.
    three: [usize; 2],
    /// Channels of the 5x5 branch, reduced and given.
    five: [usize; 2],
    /// Channels of the pooling branch.
    pool: usize,
}

const fn inception_row(name: &'static str, one: usize, three: [usize; 2], five: [usize; 2], pool: usize) -> Inception {
    Inception { name, one, three, five, pool }
}

/// Szegedy et al. 2015, table 1: the modules between two poolings.
const STAGE3: [Inception; 2] = [
    inception_row("inception3a", 64, [96, 128], [16, 32], 32),
    inception_row("inception3b", 128, [128, 192], [32, 96], 64),
];
const STAGE4: [Inception; 5] = [
    inception_row("inception4a", 192, [96, 208], [16, 48], 64),
    inception_row("inception4b", 160, [112, 224], [24, 64], 64),
    inception_row("inception4c", 128, [128, 256], [24, 64], 64),
    inception_row("inception4d", 112, [144, 288], [32, 64], 64),
    inception_row("inception4e", 256, [160, 320], [32, 128], 128),
];
const STAGE5: [Inception; 2] = [
    inception_row("inception5a", 256, [160, 320], [32, 128], 128),
    inception_row("inception5b", 384, [192, 384], [48, 128], 128),
];

fn googlenet(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    // torchvision cuts its normal at ±2, two hundred deviations away.
    let unit = Unit {
        norm: Some(BatchNorm { eps: 1e-3, ..BatchNorm::default() }),
        init: ConvInit::Normal(0.01),
        third_kernel: 3,
    };
    let pool = MaxPool2d::square(3).stride(2).ceil_mode();

    let y = unit.apply(&mut net.scope("conv1"), x, Conv2d::square(64, 7).stride(2).padding(3))?;
    let y = net.scope("maxpool1").max_pool2d(y, pool)?;
    let y = unit.apply(&mut net.scope("conv2"), y, Conv2d::square(64, 1))?;
    let y = unit.apply(&mut net.scope("conv3"), y, Conv2d::square(192, 3).padding(1))?;
    let y = net.scope("maxpool2").max_pool2d(y, pool)?;
    let y = inceptions(net, y, &STAGE3, unit)?;
    let y = net.scope("maxpool3").max_pool2d(y, pool)?;
    let early = inceptions(net, y, &STAGE4[..1], unit)?;
    let late = inceptions(net, early, &STAGE4[1..4], unit)?;
    let y = inceptions(net, late, &STAGE4[4..], unit)?;
    let y = net.scope("maxpool4").max_pool2d(y, MaxPool2d::square(2).ceil_mode())?;
    let y = inceptions(net, y, &STAGE5, unit)?;
    if with.flag("aux_logits")? {
        auxiliary_classifier(&mut net.scope("aux1"), early, with, unit)?;
        auxiliary_classifier(&mut net.scope("aux2"), late, with, unit)?;
    }
    let y = net.scope("avgpool").global_avg_pool2d(y)?;
    let y = net.flatten(y)?;
    let y = net.dropout("dropout", y, with.dropout()?)?;
    let bias = Init::torch_default(net.channels(y));
    net.linear_with("fc", y, with.num_classes, Init::Normal { std: 0.01 }, bias)
}

/// Szegedy et al. 2015, section 5: a classifier on the way, whose loss counts 0.3 times. Its dropout is
/// the paper's 0.7, and none where the network has none.
fn auxiliary_classifier(net: &mut Scope, x: Value, with: &Settings, unit: Unit) -> Result<(), GraphError> {
    let weight = Init::Normal { std: 0.01 };
    let y = net.adaptive_avg_pool2d(x, [4, 4])?;
    let y = unit.apply(&mut net.scope("conv"), y, Conv2d::square(128, 1))?;
    let y = net.flatten(y)?;
    let bias = Init::torch_default(net.channels(y));
    let y = net.linear_with("fc1", y, 1024, weight, bias)?;
    let y = net.relu(y)?;
    let y = net.dropout("dropout", y, if with.dropout()? == 0.0 { 0.0 } else { 0.7 })?;
    let logits = net.linear_with("fc2", y, with.num_classes, weight, Init::torch_default(1024))?;
    net.auxiliary(logits, 0.3);
    Ok(())
}

fn googlenet_cifar(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let norm = with.flag("batch_norm")?.then(BatchNorm::default);
    let unit = Unit { norm, init: ConvInit::KaimingNormalFanIn, third_kernel: 5 };
    let pool = MaxPool2d::square(3).stride(2).ceil_mode();

    let y = unit.apply(&mut net.scope("stem"), x, Conv2d::square(192, 3).padding(1))?;
    let y = inceptions(net, y, &STAGE3, unit)?;
    let y = net.scope("maxpool3").max_pool2d(y, pool)?;
    let y = inceptions(net, y, &STAGE4, unit)?;
    let y = net.scope("maxpool4").max_pool2d(y, pool)?;
    let y = inceptions(net, y, &STAGE5, unit)?;
    let y = net.scope("avgpool").global_avg_pool2d(y)?;
    let y = net.flatten(y)?;
    let y = net.dropout("dropout", y, with.dropout()?)?;
    net.linear("fc", y, with.num_classes)
}

fn inceptions(net: &mut Scope, x: Value, rows: &[Inception], unit: Unit) -> Result<Value, GraphError> {
    rows.iter().try_fold(x, |y, row| inception(&mut net.scope(row.name), y, row, unit))
}

/// Szegedy et al. 2015, figure 2b.
fn inception(net: &mut Scope, x: Value, row: &Inception, unit: Unit) -> Result<Value, GraphError> {
    let k = unit.third_kernel;
    let one = unit.apply(&mut net.scope("branch1"), x, Conv2d::square(row.one, 1))?;

    let three = unit.apply(&mut net.scope("branch2.0"), x, Conv2d::square(row.three[0], 1))?;
    let three = unit.apply(&mut net.scope("branch2.1"), three, Conv2d::square(row.three[1], 3).padding(1))?;

    let five = unit.apply(&mut net.scope("branch3.0"), x, Conv2d::square(row.five[0], 1))?;
    let five = unit.apply(&mut net.scope("branch3.1"), five, Conv2d::square(row.five[1], k).padding(k / 2))?;

    let pool = net.scope("branch4.0").max_pool2d(x, MaxPool2d::square(3).stride(1).padding(1))?;
    let pool = unit.apply(&mut net.scope("branch4.1"), pool, Conv2d::square(row.pool, 1))?;

    net.concat(&[one, three, five, pool], 1)
}

impl Unit {
    fn apply(self, net: &mut Scope, x: Value, conv: Conv2d) -> Result<Value, GraphError> {
        let conv = conv.init(self.init);
        let y = match self.norm {
            Some(norm) => {
                let y = net.conv2d("conv", x, conv.without_bias())?;
                net.batch_norm_with("bn", y, norm)?
            }
            None => net.conv2d("conv", x, conv)?,
        };
        net.relu(y)
    }
}
