//! ConvNeXt: a ResNet brought up to date step by step.

use super::options::{Attribute, DEEPEST, LARGEST, STOCHASTIC_DEPTH, Settings, Takes};
use super::{Model, imagenet};
use crate::graph::{GraphError, Init, Value};
use crate::nn::{Conv2d, ConvInit, LayerNorm, Scope};
use crate::ops::Activation;

const LIU: &str = "Liu et al. 2022, A ConvNet for the 2020s";

pub(super) const MODELS: &[Model] = &[
    imagenet("convnext_tiny", LIU, &sized(96, &[3, 3, 9, 3], 0.1), convnext),
    imagenet("convnext_small", LIU, &sized(96, &[3, 3, 27, 3], 0.4), convnext),
    imagenet("convnext_base", LIU, &sized(128, &[3, 3, 27, 3], 0.5), convnext),
];

/// Channels of the first stage, blocks of each, and the rate of the last block's stochastic depth.
const fn sized(channels: usize, depths: &'static [usize], stochastic_depth: f64) -> [Attribute; 5] {
    [
        ("channels", Takes::Count(channels)),
        ("depths", Takes::Counts(depths)),
        ("patch_size", Takes::Count(4)),
        ("layer_scale", Takes::Number(1e-6)),
        (STOCHASTIC_DEPTH, Takes::Probability(stochastic_depth)),
    ]
}

const NORM: LayerNorm = LayerNorm { eps: 1e-6, dims: 1, affine: true };
// torchvision cuts its normal at ±2, a hundred deviations away.
const WEIGHT: Init = Init::Normal { std: 0.02 };
const CONV: ConvInit = ConvInit::Normal(0.02);

/// Liu et al. 2022, table 9: stages of blocks, each of twice the channels and half the size.
fn convnext(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let [channels, patch] = [with.count("channels")?, with.count("patch_size")?];
    let scale = with.number("layer_scale")?;
    let depths = with.counts("depths")?;
    let widest =
        u32::try_from(depths.len() - 1).ok().and_then(|stages| 2usize.checked_pow(stages)?.checked_mul(channels));
    if widest.is_none_or(|widest| widest > LARGEST) {
        let rule = format!("the last stage's channels, which double from stage to stage, would be above {LARGEST}");
        return Err(GraphError::attribute("depths", format!("{depths:?}"), rule));
    }

    if depths.iter().sum::<usize>() > DEEPEST {
        let rule = format!("the blocks of all stages are at most {DEEPEST}");
        return Err(GraphError::attribute("depths", format!("{depths:?}"), rule));
    }

    let mut y = net.conv2d("features.0.0", x, Conv2d::square(channels, patch).stride(patch).init(CONV))?;
    y = channel_norm(net, "features.0.1", y)?;
    let last_block = depths.iter().sum::<usize>() - 1;
    let mut blocks_before = 0;
    for (stage, blocks) in depths.into_iter().enumerate() {
        if stage > 0 {
            let mut down = net.scope(format!("features.{}", 2 * stage));
            y = channel_norm(&mut down, "0", y)?;
            y = down.conv2d("1", y, Conv2d::square(channels << stage, 2).stride(2).init(CONV))?;
        }
        for block in 0..blocks {
            let dropped = with.stochastic_depth(blocks_before, last_block)?;
            y = inverted_bottleneck(&mut net.scope(format!("features.{}.{block}", 2 * stage + 1)), y, scale, dropped)?;
            blocks_before += 1;
        }
    }
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    y = net.layer_norm("classifier.0", y, NORM)?;
    net.linear_with("classifier.2", y, with.num_classes, WEIGHT, Init::ZEROS)
}

/// Liu et al. 2022, figure 4, right.
fn inverted_bottleneck(net: &mut Scope, x: Value, scale: f32, dropped: f32) -> Result<Value, GraphError> {
    let channels = net.channels(x);
    let scale = net.parameter("layer_scale", [channels, 1, 1], Init::Constant(scale))?;
    let filter = Conv2d::square(channels, 7).padding(3).groups(channels).init(CONV);
    let y = net.conv2d("block.0", x, filter)?;
    let y = net.permute(y, &[0, 2, 3, 1])?;
    let y = net.layer_norm("block.2", y, NORM)?;
    let y = net.linear_with("block.3", y, 4 * channels, WEIGHT, Init::ZEROS)?;
    let y = net.activation(y, Activation::Gelu)?;
    let y = net.linear_with("block.5", y, channels, WEIGHT, Init::ZEROS)?;
    let y = net.permute(y, &[0, 3, 1, 2])?;
    let y = net.mul(y, scale)?;
    let y = net.stochastic_depth("stochastic_depth", y, dropped)?;
    net.add(y, x)
}

/// Layer norm over the channels of each pixel.
fn channel_norm(net: &mut Scope, name: &str, x: Value) -> Result<Value, GraphError> {
    let y = net.permute(x, &[0, 2, 3, 1])?;
    let y = net.layer_norm(name, y, NORM)?;
    net.permute(y, &[0, 3, 1, 2])
}
