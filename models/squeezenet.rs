//! SqueezeNet: fire modules, which squeeze by 1x1 convolutions before they expand.

use super::options::{STEM, Settings, Takes};
use super::{Model, imagenet};
use crate::graph::{GraphError, Value};
use crate::nn::{Conv2d, ConvInit, Scope};
use crate::ops::MaxPool2d;

pub(super) const MODELS: &[Model] = &[imagenet(
    "squeezenet1_1",
    "Iandola et al. 2016, SqueezeNet, version 1.1 with 2.4 times less to compute",
    &[("squeeze_ratio", Takes::Share(0.125)), STEM, ("dropout", Takes::Probability(0.5))],
    squeezenet1_1,
)];

fn squeezenet1_1(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let ratio = with.share("squeeze_ratio")?;
    let small = with.has_small_stem()?;
    let first = if small { conv(64, 3).padding(1) } else { conv(64, 3).stride(2) };

    let mut y = net.conv2d("features.0", x, first)?;
    y = net.relu(y)?;
    if !small {
        y = pool(&mut net.scope("features.2"), y)?;
    }
    y = fire(&mut net.scope("features.3"), y, 64, ratio)?;
    y = fire(&mut net.scope("features.4"), y, 64, ratio)?;
    y = pool(&mut net.scope("features.5"), y)?;
    y = fire(&mut net.scope("features.6"), y, 128, ratio)?;
    y = fire(&mut net.scope("features.7"), y, 128, ratio)?;
    y = pool(&mut net.scope("features.8"), y)?;
    y = fire(&mut net.scope("features.9"), y, 192, ratio)?;
    y = fire(&mut net.scope("features.10"), y, 192, ratio)?;
    y = fire(&mut net.scope("features.11"), y, 256, ratio)?;
    y = fire(&mut net.scope("features.12"), y, 256, ratio)?;
    y = net.dropout("classifier.0", y, with.dropout()?)?;
    y = net.conv2d("classifier.1", y, Conv2d::square(with.num_classes, 1).init(ConvInit::Normal(0.01)))?;
    y = net.relu(y)?;
    y = net.scope("classifier.3").global_avg_pool2d(y)?;
    net.flatten(y)
}

/// Iandola et al. 2016, figure 1; `ratio` is section 5's: squeezed channels to given ones.
fn fire(net: &mut Scope, x: Value, expand: usize, ratio: f64) -> Result<Value, GraphError> {
    let squeeze = ((2 * expand) as f64 * ratio).ceil() as usize;
    let squeezed = net.conv2d("squeeze", x, conv(squeeze, 1))?;
    let squeezed = net.relu(squeezed)?;
    let one = net.conv2d("expand1x1", squeezed, conv(expand, 1))?;
    let one = net.relu(one)?;
    let three = net.conv2d("expand3x3", squeezed, conv(expand, 3).padding(1))?;
    let three = net.relu(three)?;
    net.concat(&[one, three], 1)
}

fn pool(net: &mut Scope, x: Value) -> Result<Value, GraphError> {
    net.max_pool2d(x, MaxPool2d::square(3).stride(2).ceil_mode())
}

fn conv(filters: usize, kernel: usize) -> Conv2d {
    Conv2d::square(filters, kernel).init(ConvInit::KaimingUniformFanIn)
}
