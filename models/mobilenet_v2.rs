//! MobileNetV2: inverted residuals with linear bottlenecks.

use super::inverted_residual::{conv, depthwise, multiple_of_8, unit};
use super::options::{STEM, Settings, Takes};
use super::{Model, imagenet};
use crate::graph::{GraphError, Init, Value};
use crate::nn::{BatchNorm, Scope};
use crate::ops::Activation::Relu6;

pub(super) const MODELS: &[Model] = &[imagenet(
    "mobilenet_v2",
    "Sandler et al. 2018, MobileNetV2: Inverted residuals and linear bottlenecks",
    &[("width_mult", Takes::Number(1.0)), STEM, ("dropout", Takes::Probability(0.2))],
    mobilenet_v2,
)];

/// Sandler et al. 2018, table 2: expansion, channels, blocks, stride of the first block.
const STAGES: [[usize; 4]; 7] =
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];

fn mobilenet_v2(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let norm = BatchNorm::default();
    let width = with.factor("width_mult")?;
    let wide = |channels: usize| multiple_of_8(channels as f64 * width);
    let first_stride = if with.has_small_stem()? { 1 } else { 2 };
    let mut y = unit(&mut net.scope("features.0"), x, conv(wide(32), 3, first_stride), norm, Some(Relu6))?;
    let mut index = 1;
    for [expansion, channels, blocks, first_stride] in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            y = bottleneck(&mut net.scope(format!("features.{index}")), y, expansion, wide(channels), stride)?;
            index += 1;
        }
    }
    // A narrow network keeps its 1280 features (Sandler et al. 2018, section 5).
    let last = multiple_of_8(1280.0 * width.max(1.0));
    y = unit(&mut net.scope(format!("features.{index}")), y, conv(last, 1, 1), norm, Some(Relu6))?;
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    y = net.dropout("classifier.0", y, with.dropout()?)?;
    net.linear_with("classifier.1", y, with.num_classes, Init::Normal { std: 0.01 }, Init::ZEROS)
}

/// Sandler et al. 2018, table 1 and figure 3b.
fn bottleneck(
    net: &mut Scope,
    x: Value,
    expansion: usize,
    channels: usize,
    stride: usize,
) -> Result<Value, GraphError> {
    let norm = BatchNorm::default();
    let inputs = net.channels(x);
    let expanded = inputs * expansion;
    let [filter, project, project_norm] = match expansion {
        1 => ["conv.0", "conv.1", "conv.2"],
        _ => ["conv.1", "conv.2", "conv.3"],
    };

    let mut y = x;
    if expansion != 1 {
        y = unit(&mut net.scope("conv.0"), y, conv(expanded, 1, 1), norm, Some(Relu6))?;
    }
    y = unit(&mut net.scope(filter), y, depthwise(expanded, 3, stride), norm, Some(Relu6))?;
    y = net.conv2d(project, y, conv(channels, 1, 1))?;
    y = net.batch_norm(project_norm, y)?;
    match stride == 1 && inputs == channels {
        true => net.add(x, y),
        false => Ok(y),
    }
}
