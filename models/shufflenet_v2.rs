//! ShuffleNetV2: half of the channels pass by, the other half is filtered, then both are shuffled.

use super::options::{Attribute, STEM, Settings, Takes};
use super::{Model, imagenet};
use crate::graph::{GraphError, Value};
use crate::nn::{Conv2d, Scope};
use crate::ops::MaxPool2d;

const MA: &str = "Ma et al. 2018, ShuffleNet V2: Practical guidelines for efficient CNN architecture design";

pub(super) const MODELS: &[Model] = &[
    imagenet("shufflenet_v2_x0_5", MA, &column(&[48, 96, 192], 1024), shufflenet_v2),
    imagenet("shufflenet_v2_x1_0", MA, &column(&[116, 232, 464], 1024), shufflenet_v2),
    imagenet("shufflenet_v2_x1_5", MA, &column(&[176, 352, 704], 1024), shufflenet_v2),
    imagenet("shufflenet_v2_x2_0", MA, &column(&[244, 488, 976], 2048), shufflenet_v2),
];

/// Ma et al. 2018, table 5: channels of stages 2 to 4, and features.
const fn column(channels: &'static [usize], features: usize) -> [Attribute; 3] {
    [("channels", Takes::Counts(channels)), ("features", Takes::Count(features)), STEM]
}

/// Units of stages 2 to 4.
const UNITS: [usize; 3] = [4, 8, 4];

fn shufflenet_v2(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let channels = with.counts("channels")?;
    if channels.len() != UNITS.len() || channels.iter().any(|channels| channels % 2 != 0) {
        let rule = "they are three even numbers: half of a unit's channels pass by";
        return Err(GraphError::attribute("channels", format!("{channels:?}"), rule));
    }
    let small = with.has_small_stem()?;
    let first = if small { conv(24, 3) } else { conv(24, 3).stride(2) };

    let mut y = conv_norm(&mut net.scope("conv1"), x, 0, first)?;
    y = net.relu(y)?;
    if !small {
        y = net.scope("maxpool").max_pool2d(y, MaxPool2d::square(3).stride(2).padding(1))?;
    }
    for (stage, (channels, units)) in (2..).zip(channels.into_iter().zip(UNITS)) {
        y = down_unit(&mut net.scope(format!("stage{stage}.0")), y, channels / 2)?;
        for unit in 1..units {
            y = basic_unit(&mut net.scope(format!("stage{stage}.{unit}")), y)?;
        }
    }
    y = conv_norm(&mut net.scope("conv5"), y, 0, conv(with.count("features")?, 1))?;
    y = net.relu(y)?;
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    net.linear("fc", y, with.num_classes)
}

/// Ma et al. 2018, figure 3c.
fn basic_unit(net: &mut Scope, x: Value) -> Result<Value, GraphError> {
    let half = net.channels(x) / 2;
    let passed = net.slice(x, 1, 0..half)?;
    let filtered = net.slice(x, 1, half..2 * half)?;
    let filtered = filter(&mut net.scope("branch2"), filtered, half, 1)?;
    let y = net.concat(&[passed, filtered], 1)?;
    net.channel_shuffle(y, 2)
}

/// Ma et al. 2018, figure 3d: half the size, both branches filtered.
fn down_unit(net: &mut Scope, x: Value, half: usize) -> Result<Value, GraphError> {
    let inputs = net.channels(x);
    let mut branch = net.scope("branch1");
    let left = conv_norm(&mut branch, x, 0, conv(inputs, 3).stride(2).groups(inputs))?;
    let left = conv_norm(&mut branch, left, 2, conv(half, 1))?;
    let left = branch.relu(left)?;
    let right = filter(&mut net.scope("branch2"), x, half, 2)?;
    let y = net.concat(&[left, right], 1)?;
    net.channel_shuffle(y, 2)
}

/// 1x1, depthwise 3x3 and 1x1 convolution.
fn filter(net: &mut Scope, x: Value, channels: usize, stride: usize) -> Result<Value, GraphError> {
    let y = conv_norm(net, x, 0, conv(channels, 1))?;
    let y = net.relu(y)?;
    let y = conv_norm(net, y, 3, conv(channels, 3).stride(stride).groups(channels))?;
    let y = conv_norm(net, y, 5, conv(channels, 1))?;
    net.relu(y)
}

/// Convolution `index` and the batch norm after it.
fn conv_norm(net: &mut Scope, x: Value, index: usize, conv: Conv2d) -> Result<Value, GraphError> {
    let y = net.conv2d(&index.to_string(), x, conv)?;
    net.batch_norm(&(index + 1).to_string(), y)
}

fn conv(filters: usize, kernel: usize) -> Conv2d {
    Conv2d::square(filters, kernel).padding(kernel / 2).without_bias()
}
