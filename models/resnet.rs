//! Residual networks: v1 and v1.5, wide, ResNeXt, squeeze-and-excitation, pre-activation, and their
//! versions for 32x32 images.

use super::options::{Attribute, LARGEST, Settings, Takes};
use super::{Model, cifar, imagenet};
use crate::graph::{BatchNorm, Conv2d, ConvInit, GraphError, Scope, Value};
use crate::ops::{Activation, MaxPool2d};

const HE: &str = "He et al. 2015, Deep residual learning for image recognition";
const HE_CIFAR: &str = "He et al. 2015, the ImageNet network with a stem for 32x32 images";
const HE_V1: &str = "He et al. 2015, with the stride in a bottleneck's first convolution, as published";
const WIDE: &str = "Zagoruyko and Komodakis 2016, Wide residual networks";
const NEXT: &str = "Xie et al. 2017, Aggregated residual transformations for deep neural networks";
const SQUEEZE: &str = "Hu et al. 2018, Squeeze-and-excitation networks";
const PREACT: &str = "He et al. 2016, Identity mappings in deep residual networks";

const ZERO_INIT: Attribute = ("zero_init_residual", Takes::Flag(false));
const BASIC: &[Attribute] = &[ZERO_INIT];
const BOTTLENECK: &[Attribute] = &[("groups", Takes::Count(1)), ("width_per_group", Takes::Count(64)), ZERO_INIT];
const WIDE_2: &[Attribute] = &[("groups", Takes::Count(1)), ("width_per_group", Takes::Count(128)), ZERO_INIT];
const NEXT_4D: &[Attribute] = &[("groups", Takes::Count(32)), ("width_per_group", Takes::Count(4)), ZERO_INIT];
const NEXT_8D: &[Attribute] = &[("groups", Takes::Count(32)), ("width_per_group", Takes::Count(8)), ZERO_INIT];
const SQUEEZE_BASIC: &[Attribute] = &[("reduction", Takes::Count(16)), ZERO_INIT];
const SQUEEZE_BOTTLENECK: &[Attribute] =
    &[("groups", Takes::Count(1)), ("reduction", Takes::Count(16)), ("width_per_group", Takes::Count(64)), ZERO_INIT];

#[rustfmt::skip]
pub(super) const MODELS: &[Model] = &[
    imagenet("resnet18", HE, BASIC, |net, x, with| resnet(net, x, with, &RESNET18)),
    imagenet("resnet34", HE, BASIC, |net, x, with| resnet(net, x, with, &RESNET34)),
    imagenet("resnet50", HE, BOTTLENECK, |net, x, with| resnet(net, x, with, &RESNET50)),
    imagenet("resnet101", HE, BOTTLENECK, |net, x, with| resnet(net, x, with, &RESNET101)),
    imagenet("resnet152", HE, BOTTLENECK, |net, x, with| resnet(net, x, with, &RESNET152)),
    imagenet("resnet50_v1", HE_V1, BOTTLENECK, |net, x, with| resnet(net, x, with, &ResNet { v1: true, ..RESNET50 })),
    imagenet("resnet101_v1", HE_V1, BOTTLENECK, |net, x, with| resnet(net, x, with, &ResNet { v1: true, ..RESNET101 })),
    imagenet("resnet152_v1", HE_V1, BOTTLENECK, |net, x, with| resnet(net, x, with, &ResNet { v1: true, ..RESNET152 })),
    imagenet("wide_resnet50_2", WIDE, WIDE_2, |net, x, with| resnet(net, x, with, &RESNET50)),
    imagenet("wide_resnet101_2", WIDE, WIDE_2, |net, x, with| resnet(net, x, with, &RESNET101)),
    imagenet("resnext50_32x4d", NEXT, NEXT_4D, |net, x, with| resnet(net, x, with, &RESNET50)),
    imagenet("resnext101_32x8d", NEXT, NEXT_8D, |net, x, with| resnet(net, x, with, &RESNET101)),
    imagenet("se_resnet50", SQUEEZE, SQUEEZE_BOTTLENECK, |net, x, with| resnet(net, x, with, &ResNet { squeeze: true, ..RESNET50 })),
    cifar("resnet18_cifar", HE_CIFAR, BASIC, |net, x, with| resnet(net, x, with, &ResNet { stem: Stem::Cifar, ..RESNET18 })),
    cifar("resnet34_cifar", HE_CIFAR, BASIC, |net, x, with| resnet(net, x, with, &ResNet { stem: Stem::Cifar, ..RESNET34 })),
    cifar("resnet50_cifar", HE_CIFAR, BOTTLENECK, |net, x, with| resnet(net, x, with, &ResNet { stem: Stem::Cifar, ..RESNET50 })),
    cifar("resnet101_cifar", HE_CIFAR, BOTTLENECK, |net, x, with| resnet(net, x, with, &ResNet { stem: Stem::Cifar, ..RESNET101 })),
    cifar("resnet152_cifar", HE_CIFAR, BOTTLENECK, |net, x, with| resnet(net, x, with, &ResNet { stem: Stem::Cifar, ..RESNET152 })),
    cifar("se_resnet18_cifar", SQUEEZE, SQUEEZE_BASIC, |net, x, with| {
        resnet(net, x, with, &ResNet { squeeze: true, stem: Stem::Cifar, ..RESNET18 })
    }),
    cifar("resnext29_cifar", NEXT, NEXT_4D, resnext29_cifar),
    cifar("preact_resnet18_cifar", PREACT, &[], preact_resnet18_cifar),
];

/// What tells one residual network from another.
#[derive(Clone, Copy)]
struct ResNet {
    stem: Stem,
    block: Block,
    /// Blocks of each stage; a stage has twice the channels and half the size of the one before.
    stages: &'static [usize],
    /// Channels inside a block of the first stage; a bottleneck's are asked for.
    width: usize,
    /// Channels that a block of the first stage gives.
    channels: usize,
    /// Groups of a bottleneck's 3x3 convolution, which are asked for.
    groups: usize,
    /// A bottleneck's first convolution has the stride, not the 3x3 one.
    v1: bool,
    /// Blocks weigh their channels before the addition.
    squeeze: bool,
    /// Channels of a block for each one that weighs them, which are asked for.
    reduction: usize,
}

#[derive(Clone, Copy)]
enum Stem {
    /// 7x7 convolution and 3x3 max pooling, stride 2 each.
    ImageNet,
    /// 3x3 convolution.
    Cifar,
}

#[derive(Clone, Copy)]
enum Block {
    Basic,
    Bottleneck,
}

const RESNET18: ResNet = ResNet {
    stem: Stem::ImageNet,
    block: Block::Basic,
    stages: &[2, 2, 2, 2],
    width: 64,
    channels: 64,
    groups: 1,
    v1: false,
    squeeze: false,
    reduction: 16,
};
const RESNET34: ResNet = ResNet { stages: &[3, 4, 6, 3], ..RESNET18 };
const RESNET50: ResNet = ResNet { block: Block::Bottleneck, channels: 256, ..RESNET34 };
const RESNET101: ResNet = ResNet { stages: &[3, 4, 23, 3], ..RESNET50 };
const RESNET152: ResNet = ResNet { stages: &[3, 8, 36, 3], ..RESNET50 };

/// He et al. 2015, table 1.
fn resnet(net: &mut Scope, x: Value, with: &Settings, figure: &ResNet) -> Result<Value, GraphError> {
    let mut figure = *figure;
    if let Block::Bottleneck = figure.block {
        (figure.groups, figure.width) = grouped_width(with)?;
    }
    if figure.squeeze {
        figure.reduction = with.count("reduction")?;
    }
    let last_norm = BatchNorm { zero_init: with.flag("zero_init_residual")?, ..BatchNorm::default() };

    let mut y = match figure.stem {
        Stem::ImageNet => net.conv2d("conv1", x, conv(64, 7, 2))?,
        Stem::Cifar => net.conv2d("conv1", x, conv(64, 3, 1))?,
    };
    y = net.batch_norm("bn1", y)?;
    y = net.relu(y);
    if let Stem::ImageNet = figure.stem {
        y = net.scope("maxpool").max_pool2d(y, MaxPool2d::square(3).stride(2).padding(1))?;
    }
    for (stage, &blocks) in figure.stages.iter().enumerate() {
        let figure = &ResNet { width: figure.width << stage, channels: figure.channels << stage, ..figure };
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let net = &mut net.scope(format!("layer{}.{block}", stage + 1));
            y = match figure.block {
                Block::Basic => basic_block(net, y, figure, stride, last_norm)?,
                Block::Bottleneck => bottleneck(net, y, figure, stride, last_norm)?,
            };
        }
    }
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    net.linear("fc", y, with.num_classes)
}

/// Groups, and channels of all of them in the first stage.
fn grouped_width(with: &Settings) -> Result<(usize, usize), GraphError> {
    let groups = with.count("groups")?;
    let width = groups * with.count("width_per_group")?;
    match width > LARGEST {
        true => Err(GraphError::attribute("groups * width_per_group", width, format!("it is at most {LARGEST}"))),
        false => Ok((groups, width)),
    }
}

/// Residual block of two 3x3 convolutions (He et al. 2015, figure 5, left).
fn basic_block(
    net: &mut Scope,
    x: Value,
    figure: &ResNet,
    stride: usize,
    last_norm: BatchNorm,
) -> Result<Value, GraphError> {
    let y = net.conv2d("conv1", x, conv(figure.width, 3, stride))?;
    let y = net.batch_norm("bn1", y)?;
    let y = net.relu(y);
    let y = net.conv2d("conv2", y, conv(figure.channels, 3, 1))?;
    let y = net.batch_norm_with("bn2", y, last_norm)?;
    add_identity(net, x, y, figure, stride)
}

/// Residual block of a 1x1, a 3x3 and a 1x1 convolution (He et al. 2015, figure 5, right).
fn bottleneck(
    net: &mut Scope,
    x: Value,
    figure: &ResNet,
    stride: usize,
    last_norm: BatchNorm,
) -> Result<Value, GraphError> {
    let [first, second] = if figure.v1 { [stride, 1] } else { [1, stride] };
    let y = net.conv2d("conv1", x, conv(figure.width, 1, first))?;
    let y = net.batch_norm("bn1", y)?;
    let y = net.relu(y);
    let y = net.conv2d("conv2", y, conv(figure.width, 3, second).groups(figure.groups))?;
    let y = net.batch_norm("bn2", y)?;
    let y = net.relu(y);
    let y = net.conv2d("conv3", y, conv(figure.channels, 1, 1))?;
    let y = net.batch_norm_with("bn3", y, last_norm)?;
    add_identity(net, x, y, figure, stride)
}

/// relu(x + y), x through a 1x1 convolution where its shape is another.
fn add_identity(net: &mut Scope, x: Value, mut y: Value, figure: &ResNet, stride: usize) -> Result<Value, GraphError> {
    if figure.squeeze {
        y = squeeze_excitation(&mut net.scope("se"), y, figure.reduction)?;
    }
    let mut identity = x;
    if stride != 1 || net.channels(x) != figure.channels {
        identity = net.conv2d("downsample.0", x, conv(figure.channels, 1, stride))?;
        identity = net.batch_norm("downsample.1", identity)?;
    }
    let sum = net.add(y, identity)?;
    Ok(net.relu(sum))
}

/// y = x * sigmoid(fc2(relu(fc1(mean of x over H and W)))) (Hu et al. 2018, figure 2).
fn squeeze_excitation(net: &mut Scope, x: Value, reduction: usize) -> Result<Value, GraphError> {
    let channels = net.channels(x);
    if reduction > channels {
        return Err(GraphError::attribute("reduction", reduction, format!("it is at most the {channels} channels")));
    }
    let y = net.global_avg_pool2d(x)?;
    let y = net.flatten(y)?;
    let y = net.linear("fc1", y, channels / reduction)?;
    let y = net.relu(y);
    let y = net.linear("fc2", y, channels)?;
    let y = net.activation(y, Activation::Sigmoid);
    let batch = net.shape(x)[0];
    let y = net.reshape(y, [batch, channels, 1, 1])?;
    net.mul(x, y)
}

/// Xie et al. 2017, section 5.3: three stages of three bottlenecks.
fn resnext29_cifar(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let (_, width) = grouped_width(with)?;
    let figure = ResNet { stem: Stem::Cifar, stages: &[3, 3, 3], channels: 2 * width, ..RESNET50 };
    resnet(net, x, with, &figure)
}

/// ResNet-18 with each convolution after its batch norm and ReLU.
fn preact_resnet18_cifar(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let mut y = net.conv2d("conv1", x, conv(64, 3, 1))?;
    for stage in 0..4 {
        for block in 0..2 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            y = preact_block(&mut net.scope(format!("layer{}.{block}", stage + 1)), y, 64 << stage, stride)?;
        }
    }
    y = net.batch_norm("bn", y)?;
    y = net.relu(y);
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    net.linear("fc", y, with.num_classes)
}

/// He et al. 2016, figure 4e; a projection sees the activated x.
fn preact_block(net: &mut Scope, x: Value, channels: usize, stride: usize) -> Result<Value, GraphError> {
    let activated = net.batch_norm("bn1", x)?;
    let activated = net.relu(activated);
    let y = net.conv2d("conv1", activated, conv(channels, 3, stride))?;
    let y = net.batch_norm("bn2", y)?;
    let y = net.relu(y);
    let y = net.conv2d("conv2", y, conv(channels, 3, 1))?;
    let identity = match stride != 1 || net.channels(x) != channels {
        true => net.conv2d("shortcut", activated, conv(channels, 1, stride))?,
        false => x,
    };
    net.add(identity, y)
}

fn conv(filters: usize, kernel: usize, stride: usize) -> Conv2d {
    Conv2d::square(filters, kernel)
        .stride(stride)
        .padding(kernel / 2)
        .without_bias()
        .init(ConvInit::KaimingNormalFanOut)
}
