//! MobileNetV3: inverted residuals with squeeze-and-excitation and hard activations.

use super::inverted_residual::{InvertedResidual, Squeeze, conv, multiple_of_8, unit};
use super::options::{Attribute, STEM, Settings, Takes};
use super::{Model, imagenet};
use crate::graph::{GraphError, Init, Value};
use crate::nn::{BatchNorm, Scope};
use crate::ops::Activation::{HardSigmoid, HardSwish, Relu};

const HOWARD: &str = "Howard et al. 2019, Searching for MobileNetV3";
const ATTRIBUTES: &[Attribute] =
    &[("width_mult", Takes::Number(1.0)), ("reduction", Takes::Count(4)), STEM, ("dropout", Takes::Probability(0.2))];

pub(super) const MODELS: &[Model] = &[
    imagenet("mobilenet_v3_small", HOWARD, ATTRIBUTES, |net, x, with| mobilenet_v3(net, x, with, &SMALL, 1024)),
    imagenet("mobilenet_v3_large", HOWARD, ATTRIBUTES, |net, x, with| mobilenet_v3(net, x, with, &LARGE, 1280)),
];

/// One row of table 1 or 2.
struct Row {
    kernel: usize,
    expanded: usize,
    channels: usize,
    squeeze: bool,
    /// Hard swish, else ReLU.
    hard_swish: bool,
    stride: usize,
}

const fn row(kernel: usize, expanded: usize, channels: usize, flags: [bool; 2], stride: usize) -> Row {
    Row { kernel, expanded, channels, squeeze: flags[0], hard_swish: flags[1], stride }
}

/// Whether a row has squeeze-and-excitation, and whether hard swish.
const RE: [bool; 2] = [false, false];
const SE_RE: [bool; 2] = [true, false];
const HS: [bool; 2] = [false, true];
const SE_HS: [bool; 2] = [true, true];

/// Howard et al. 2019, table 1.
const LARGE: [Row; 15] = [
    row(3, 16, 16, RE, 1),
    row(3, 64, 24, RE, 2),
    row(3, 72, 24, RE, 1),
    row(5, 72, 40, SE_RE, 2),
    row(5, 120, 40, SE_RE, 1),
    row(5, 120, 40, SE_RE, 1),
    row(3, 240, 80, HS, 2),
    row(3, 200, 80, HS, 1),
    row(3, 184, 80, HS, 1),
    row(3, 184, 80, HS, 1),
    row(3, 480, 112, SE_HS, 1),
    row(3, 672, 112, SE_HS, 1),
    row(5, 672, 160, SE_HS, 2),
    row(5, 960, 160, SE_HS, 1),
    row(5, 960, 160, SE_HS, 1),
];

/// Howard et al. 2019, table 2.
const SMALL: [Row; 11] = [
    row(3, 16, 16, SE_RE, 2),
    row(3, 72, 24, RE, 2),
    row(3, 88, 24, RE, 1),
    row(5, 96, 40, SE_HS, 2),
    row(5, 240, 40, SE_HS, 1),
    row(5, 240, 40, SE_HS, 1),
    row(5, 120, 48, SE_HS, 1),
    row(5, 144, 48, SE_HS, 1),
    row(5, 288, 96, SE_HS, 2),
    row(5, 576, 96, SE_HS, 1),
    row(5, 576, 96, SE_HS, 1),
];

fn mobilenet_v3(net: &mut Scope, x: Value, with: &Settings, rows: &[Row], hidden: usize) -> Result<Value, GraphError> {
    let norm = BatchNorm { eps: 1e-3, momentum: 0.01, ..BatchNorm::default() };
    let normal = Init::Normal { std: 0.01 };

    let width = with.factor("width_mult")?;
    let wide = |channels: usize| multiple_of_8(channels as f64 * width);
    let first_stride = if with.has_small_stem()? { 1 } else { 2 };
    let reduction = with.count("reduction")?;
    let mut y = unit(&mut net.scope("features.0"), x, conv(wide(16), 3, first_stride), norm, Some(HardSwish))?;
    for (index, row) in rows.iter().enumerate() {
        let expanded = wide(row.expanded);
        let squeeze = Squeeze { channels: multiple_of_8((expanded / reduction) as f64), act: Relu, gate: HardSigmoid };
        let block = InvertedResidual {
            expanded,
            kernel: row.kernel,
            stride: row.stride,
            squeeze: row.squeeze.then_some(squeeze),
            channels: wide(row.channels),
            act: if row.hard_swish { HardSwish } else { Relu },
            norm,
            stochastic_depth: 0.0,
        };
        y = block.apply(&mut net.scope(format!("features.{}", index + 1)), y)?;
    }
    let last = conv(6 * net.channels(y), 1, 1);
    y = unit(&mut net.scope(format!("features.{}", rows.len() + 1)), y, last, norm, Some(HardSwish))?;
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    y = net.linear_with("classifier.0", y, wide(hidden), normal, Init::ZEROS)?;
    y = net.activation(y, HardSwish)?;
    y = net.dropout("classifier.2", y, with.dropout()?)?;
    net.linear_with("classifier.3", y, with.num_classes, normal, Init::ZEROS)
}
