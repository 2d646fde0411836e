//! Vision transformer: an image as a sequence of patches.

use super::options::{Attribute, Settings, Takes};
use super::{Model, imagenet};
use crate::graph::{GraphError, Init, Value};
use crate::nn::{Conv2d, ConvInit, LayerNorm, Scope};
use crate::ops::{Activation, BroadcastTo, Linear};

const DOSOVITSKIY: &str = "Dosovitskiy et al. 2021, An image is worth 16x16 words";
const ATTRIBUTES: &[Attribute] = &[
    ("patch_size", Takes::Count(16)),
    ("layers", Takes::Count(12)),
    ("heads", Takes::Count(12)),
    ("hidden", Takes::Count(768)),
    ("mlp", Takes::Count(3072)),
    ("dropout", Takes::Probability(0.0)),
];

pub(super) const MODELS: &[Model] = &[imagenet("vit_b_16", DOSOVITSKIY, ATTRIBUTES, vit)];

/// One row of Dosovitskiy et al. 2021, table 1.
struct Transformer {
    patch: usize,
    layers: usize,
    heads: usize,
    /// Elements of a token.
    hidden: usize,
    /// Elements of a token inside the multilayer perceptron.
    mlp: usize,
    dropout: f32,
}

impl Transformer {
    fn asked(with: &Settings) -> Result<Transformer, GraphError> {
        let [heads, hidden] = [with.count("heads")?, with.count("hidden")?];
        if hidden % heads != 0 {
            return Err(GraphError::attribute("heads", heads, format!("it divides hidden, which is {hidden}")));
        }
        Ok(Transformer {
            patch: with.count("patch_size")?,
            layers: with.depth("layers")?,
            heads,
            hidden,
            mlp: with.count("mlp")?,
            dropout: with.dropout()?,
        })
    }
}

const NORM: LayerNorm = LayerNorm { eps: 1e-6, dims: 1, affine: true };

/// Dosovitskiy et al. 2021, figure 1.
fn vit(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let figure = &Transformer::asked(with)?;
    let (batch, hidden) = (net.shape(x)[0], figure.hidden);

    let class = net.parameter("class_token", [1, 1, hidden], Init::ZEROS)?;
    let y = patches(net, x, figure)?;
    let class = net.apply(BroadcastTo { shape: [batch, 1, hidden].into(), factor: 1.0 }, &[class])?;
    let mut y = net.concat(&[class, y], 1)?;

    let mut encoder = net.scope("encoder");
    let tokens = encoder.shape(y)[1];
    let position = encoder.parameter("pos_embedding", [1, tokens, hidden], Init::Normal { std: 0.02 })?;
    y = encoder.add(y, position)?;
    y = encoder.dropout("dropout", y, figure.dropout)?;
    for layer in 0..figure.layers {
        y = block(&mut encoder.scope(format!("layers.encoder_layer_{layer}")), y, figure)?;
    }
    y = encoder.layer_norm("ln", y, NORM)?;

    let class = net.slice(y, 1, 0..1)?;
    let class = net.flatten(class)?;
    net.linear_with("heads.head", class, with.num_classes, Init::ZEROS, Init::ZEROS)
}

/// Images `[N, C, H, W]` as tokens `[N, H * W / patch^2, hidden]`.
fn patches(net: &mut Scope, x: Value, figure: &Transformer) -> Result<Value, GraphError> {
    let not_images = || GraphError::attribute("x", net.shape(x), "it is of shape [N, C, H, W]");
    let [batch, channels, height, width] = net.shape(x).nchw().ok_or_else(not_images)?;
    let patch = figure.patch;
    if height % patch != 0 || width % patch != 0 {
        let rule = format!("layer `conv_proj` cuts images into patches of {patch}x{patch}");
        return Err(GraphError::attribute("image_size", format!("[{height}, {width}]"), rule));
    }
    // torchvision cuts its normal at ±2, dozens of deviations away.
    let init = ConvInit::Normal((1.0 / (channels * patch * patch) as f64).sqrt());
    let y = net.conv2d("conv_proj", x, Conv2d::square(figure.hidden, patch).stride(patch).init(init))?;
    let y = net.reshape(y, [batch, figure.hidden, height / patch * (width / patch)])?;
    net.permute(y, &[0, 2, 1])
}

/// Dosovitskiy et al. 2021, figure 1, right.
fn block(net: &mut Scope, x: Value, figure: &Transformer) -> Result<Value, GraphError> {
    let y = net.layer_norm("ln_1", x, NORM)?;
    let y = self_attention(&mut net.scope("self_attention"), y, figure.heads)?;
    let y = net.dropout("dropout", y, figure.dropout)?;
    let x = net.add(x, y)?;

    let y = net.layer_norm("ln_2", x, NORM)?;
    let y = perceptron_layer(net, "mlp.0", y, figure.mlp)?;
    let y = net.activation(y, Activation::Gelu)?;
    let y = net.dropout("mlp.2", y, figure.dropout)?;
    let y = perceptron_layer(net, "mlp.3", y, figure.hidden)?;
    let y = net.dropout("mlp.4", y, figure.dropout)?;
    net.add(x, y)
}

fn perceptron_layer(net: &mut Scope, name: &str, x: Value, outputs: usize) -> Result<Value, GraphError> {
    let inputs = net.shape(x).last().copied().unwrap_or(1);
    net.linear_with(name, x, outputs, Init::xavier_uniform(inputs, outputs), Init::Normal { std: 1e-6 })
}

/// Vaswani et al. 2017, figure 2, with queries, keys and values from one product; x `[N, T, D]`.
fn self_attention(net: &mut Scope, x: Value, heads: usize) -> Result<Value, GraphError> {
    let shape = net.shape(x).clone();
    let [batch, tokens, hidden] = [shape[0], shape[1], shape[2]];
    let weight = net.parameter("in_proj_weight", [3 * hidden, hidden], Init::xavier_uniform(hidden, 3 * hidden))?;
    let bias = net.parameter("in_proj_bias", [3 * hidden], Init::ZEROS)?;

    let qkv = net.apply(Linear, &[x, weight, bias])?;
    let heads_of = |net: &mut Scope, index: usize| {
        let part = net.slice(qkv, 2, index * hidden..(index + 1) * hidden)?;
        let part = net.reshape(part, [batch, tokens, heads, hidden / heads])?;
        net.permute(part, &[0, 2, 1, 3])
    };
    let [q, k, v] = [heads_of(net, 0)?, heads_of(net, 1)?, heads_of(net, 2)?];
    let y = net.scaled_dot_product_attention(q, k, v)?;
    let y = net.permute(y, &[0, 2, 1, 3])?;
    let y = net.reshape(y, shape)?;
    net.linear_with("out_proj", y, hidden, Init::torch_default(hidden), Init::ZEROS)
}
