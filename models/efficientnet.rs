//! EfficientNet: one network of inverted residuals, scaled in width, depth and image size together.

use super::inverted_residual::{InvertedResidual, Squeeze, conv, multiple_of_8, unit};
use super::options::{Attribute, STEM, STOCHASTIC_DEPTH, Settings, Takes};
use super::{Model, Wiring};
use crate::graph::{GraphError, Init, Value};
use crate::nn::{BatchNorm, Scope};
use crate::ops::Activation::{Sigmoid, Silu};

const SMALLER: BatchNorm = BatchNorm { eps: 1e-5, momentum: 0.1, zero_init: false };
const LARGER: BatchNorm = BatchNorm { eps: 1e-3, momentum: 0.01, zero_init: false };

/// Width and depth of each as multiples of B0's, dropout, and torchvision's image sizes.
pub(super) const MODELS: &[Model] = &[
    model("efficientnet_b0", 224, &scaled(1.0, 1.0, 0.2), |net, x, with| efficientnet(net, x, with, SMALLER)),
    model("efficientnet_b1", 240, &scaled(1.0, 1.1, 0.2), |net, x, with| efficientnet(net, x, with, SMALLER)),
    model("efficientnet_b2", 288, &scaled(1.1, 1.2, 0.3), |net, x, with| efficientnet(net, x, with, SMALLER)),
    model("efficientnet_b3", 300, &scaled(1.2, 1.4, 0.3), |net, x, with| efficientnet(net, x, with, SMALLER)),
    model("efficientnet_b4", 380, &scaled(1.4, 1.8, 0.4), |net, x, with| efficientnet(net, x, with, SMALLER)),
    model("efficientnet_b5", 456, &scaled(1.6, 2.2, 0.4), |net, x, with| efficientnet(net, x, with, LARGER)),
    model("efficientnet_b6", 528, &scaled(1.8, 2.6, 0.5), |net, x, with| efficientnet(net, x, with, LARGER)),
    model("efficientnet_b7", 600, &scaled(2.0, 3.1, 0.5), |net, x, with| efficientnet(net, x, with, LARGER)),
];

const fn scaled(width: f64, depth: f64, dropout: f64) -> [Attribute; 6] {
    [
        ("width_mult", Takes::Number(width)),
        ("depth_mult", Takes::Number(depth)),
        ("reduction", Takes::Count(4)),
        STEM,
        ("dropout", Takes::Probability(dropout)),
        (STOCHASTIC_DEPTH, Takes::Probability(0.2)),
    ]
}

const fn model(name: &'static str, size: usize, attributes: &'static [Attribute], wiring: Wiring) -> Model {
    let source = "Tan and Le 2019, EfficientNet: Rethinking model scaling";
    Model { name, source, input: [3, size, size], num_classes: 1000, attributes, wiring }
}

/// Tan and Le 2019, table 1: expansion, kernel, stride of the first block, channels, blocks.
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 16, 1],
    [6, 3, 2, 24, 2],
    [6, 5, 2, 40, 2],
    [6, 3, 2, 80, 3],
    [6, 5, 1, 112, 3],
    [6, 5, 2, 192, 4],
    [6, 3, 1, 320, 1],
];

fn efficientnet(net: &mut Scope, x: Value, with: &Settings, norm: BatchNorm) -> Result<Value, GraphError> {
    let [width, depth] = [with.factor("width_mult")?, with.factor("depth_mult")?];
    let reduction = with.count("reduction")?;
    let wide = |channels: usize| multiple_of_8(channels as f64 * width);
    let deep = |blocks: usize| (blocks as f64 * depth).ceil() as usize;
    let first_stride = if with.has_small_stem()? { 1 } else { 2 };

    let mut y = unit(&mut net.scope("features.0"), x, conv(wide(32), 3, first_stride), norm, Some(Silu))?;
    let all_blocks = STAGES.iter().map(|&[.., blocks]| deep(blocks)).sum();
    let mut blocks_before = 0;
    for (stage, [expansion, kernel, first_stride, channels, blocks]) in (1..).zip(STAGES) {
        for block in 0..deep(blocks) {
            let inputs = net.channels(y);
            let block_of_stage = InvertedResidual {
                expanded: inputs * expansion,
                kernel,
                stride: if block == 0 { first_stride } else { 1 },
                squeeze: Some(Squeeze { channels: (inputs / reduction).max(1), act: Silu, gate: Sigmoid }),
                channels: wide(channels),
                act: Silu,
                norm,
                // As torchvision has it, no block reaches the full rate.
                stochastic_depth: with.stochastic_depth(blocks_before, all_blocks)?,
            };
            blocks_before += 1;
            y = block_of_stage.apply(&mut net.scope(format!("features.{stage}.{block}")), y)?;
        }
    }
    let last = conv(4 * net.channels(y), 1, 1);
    y = unit(&mut net.scope("features.8"), y, last, norm, Some(Silu))?;
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    y = net.dropout("classifier.0", y, with.dropout()?)?;
    let weight = Init::Uniform { bound: 1.0 / (with.num_classes as f64).sqrt() };
    net.linear_with("classifier.1", y, with.num_classes, weight, Init::ZEROS)
}
