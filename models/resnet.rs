//! Residual networks: v1 and v1.5, wide, ResNeXt, squeeze-and-excitation, pre-activation, and their
//! versions for 32x32 images.

use super::options::{Attribute, LARGEST, STEM, Settings, Takes, WIDTH, activations};
use super::{Model, cifar, imagenet};
use crate::graph::{GraphError, Value};
use crate::nn::{BatchNorm, Conv2d, ConvInit, Scope};
use crate::ops::{Activation, MaxPool2d};

const HE: &str = "He et al. 2015, Deep residual learning for image recognition";
const HE_CIFAR: &str = "He et al. 2015, the ImageNet network with a stem for 32x32 images";
const HE_V1: &str = "He et al. 2015, with the stride in a bottleneck's first convolution, as published";
const WIDE: &str = "Zagoruyko and Komodakis 2016, Wide residual networks";
const NEXT: &str = "Xie et al. 2017, Aggregated residual transformations for deep neural networks";
const SQUEEZE: &str = "Hu et al. 2018, Squeeze-and-excitation networks";
const PREACT: &str = "He et al. 2016, Identity mappings in deep residual networks";

const CIFAR_STEM: Attribute = ("stem", Takes::Word(&["cifar", "imagenet"]));
const ACTIVATION: Attribute = ("activation", Takes::Word(&activations(["relu", "leaky_relu"])));
const SLOPE: Attribute = ("negative_slope", Takes::Number(0.01));
const REDUCTION: Attribute = ("reduction", Takes::Count(16));
const ZERO_INIT: Attribute = ("zero_init_residual", Takes::Flag(false));

const BASIC: &[Attribute] = &[WIDTH, STEM, ACTIVATION, SLOPE, ZERO_INIT];
const BASIC_CIFAR: &[Attribute] = &[WIDTH, CIFAR_STEM, ACTIVATION, SLOPE, ZERO_INIT];
const SQUEEZE_BASIC_CIFAR: &[Attribute] = &[WIDTH, REDUCTION, CIFAR_STEM, ACTIVATION, SLOPE, ZERO_INIT];
const BOTTLENECK: &[Attribute] = &grouped(1, 64, STEM);
const BOTTLENECK_CIFAR: &[Attribute] = &grouped(1, 64, CIFAR_STEM);
const WIDE_2: &[Attribute] = &grouped(1, 128, STEM);
const NEXT_4D: &[Attribute] = &grouped(32, 4, STEM);
const NEXT_8D: &[Attribute] = &grouped(32, 8, STEM);
const NEXT_4D_CIFAR: &[Attribute] = &grouped(32, 4, CIFAR_STEM);
const SQUEEZE_BOTTLENECK: &[Attribute] = &{
    let [groups, width, stem, activation, slope, zero_init] = grouped(1, 64, STEM);
    [groups, width, REDUCTION, stem, activation, slope, zero_init]
};

/// What a network of bottlenecks takes, with its defaults.
const fn grouped(groups: usize, width_per_group: usize, stem: Attribute) -> [Attribute; 6] {
    let width = ("width_per_group", Takes::Count(width_per_group));
    [("groups", Takes::Count(groups)), width, stem, ACTIVATION, SLOPE, ZERO_INIT]
}

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
    cifar("resnet18_cifar", HE_CIFAR, BASIC_CIFAR, |net, x, with| resnet(net, x, with, &RESNET18)),
    cifar("resnet34_cifar", HE_CIFAR, BASIC_CIFAR, |net, x, with| resnet(net, x, with, &RESNET34)),
    cifar("resnet50_cifar", HE_CIFAR, BOTTLENECK_CIFAR, |net, x, with| resnet(net, x, with, &RESNET50)),
    cifar("resnet101_cifar", HE_CIFAR, BOTTLENECK_CIFAR, |net, x, with| resnet(net, x, with, &RESNET101)),
    cifar("resnet152_cifar", HE_CIFAR, BOTTLENECK_CIFAR, |net, x, with| resnet(net, x, with, &RESNET152)),
    cifar("se_resnet18_cifar", SQUEEZE, SQUEEZE_BASIC_CIFAR, |net, x, with| resnet(net, x, with, &ResNet { squeeze: true, ..RESNET18 })),
    cifar("resnext29_cifar", NEXT, NEXT_4D_CIFAR, resnext29_cifar),
    cifar("preact_resnet18_cifar", PREACT, &[WIDTH, ACTIVATION, SLOPE], preact_resnet18_cifar),
];

/// What tells one residual network from another. Where it says so, what is asked for takes the place of
/// what stands here.
#[derive(Clone, Copy)]
struct ResNet {
    block: Block,
    /// Blocks of each stage; a stage has twice the channels and half the size of the one before.
    stages: &'static [usize],
    /// Channels inside a block of the first stage, as asked for.
    width: usize,
    /// Channels that a block of the first stage gives; a basic block's are asked for.
    channels: usize,
    /// Groups of a bottleneck's 3x3 convolution, as asked for.
    groups: usize,
    /// A bottleneck's first convolution has the stride, not the 3x3 one.
    v1: bool,
    /// Blocks weigh their channels before the addition.
    squeeze: bool,
    /// Channels of a block for each one that weighs them, as asked for.
    reduction: usize,
    /// As asked for.
    act: Activation,
    /// A block's last norm, as asked for.
    last_norm: BatchNorm,
}

#[derive(Clone, Copy)]
enum Block {
    Basic,
    Bottleneck,
}

const RESNET18: ResNet = ResNet {
    block: Block::Basic,
    stages: &[2, 2, 2, 2],
    width: 64,
    channels: 64,
    groups: 1,
    v1: false,
    squeeze: false,
    reduction: 16,
    act: Activation::Relu,
    last_norm: BatchNorm { eps: 1e-5, momentum: 0.1, zero_init: false },
};
const RESNET34: ResNet = ResNet { stages: &[3, 4, 6, 3], ..RESNET18 };
const RESNET50: ResNet = ResNet { block: Block::Bottleneck, channels: 256, ..RESNET34 };
const RESNET101: ResNet = ResNet { stages: &[3, 4, 23, 3], ..RESNET50 };
const RESNET152: ResNet = ResNet { stages: &[3, 8, 36, 3], ..RESNET50 };

impl ResNet {
    fn asked(mut self, with: &Settings) -> Result<ResNet, GraphError> {
        match self.block {
            Block::Basic => {
                self.width = with.width(1 << (self.stages.len() - 1))?;
                self.channels = self.width;
            }
            Block::Bottleneck => (self.groups, self.width) = grouped_width(with)?,
        }
        if self.squeeze {
            self.reduction = with.count("reduction")?;
        }
        self.act = with.activation("activation")?;
        self.last_norm.zero_init = with.flag("zero_init_residual")?;
        Ok(self)
    }
}

/// He et al. 2015, table 1.
fn resnet(net: &mut Scope, x: Value, with: &Settings, figure: &ResNet) -> Result<Value, GraphError> {
    let figure = figure.asked(with)?;
    let channels = match figure.block {
        Block::Basic => figure.channels,
        Block::Bottleneck => 64,
    };
    let small = with.has_small_stem()?;
    let first = if small { conv(channels, 3, 1) } else { conv(channels, 7, 2) };
    let mut y = net.conv2d("conv1", x, first)?;
    y = net.batch_norm("bn1", y)?;
    y = net.activation(y, figure.act)?;
    if !small {
        y = net.scope("maxpool").max_pool2d(y, MaxPool2d::square(3).stride(2).padding(1))?;
    }
    for (stage, &blocks) in figure.stages.iter().enumerate() {
        let figure = &ResNet { width: figure.width << stage, channels: figure.channels << stage, ..figure };
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let net = &mut net.scope(format!("layer{}.{block}", stage + 1));
            y = match figure.block {
                Block::Basic => basic_block(net, y, figure, stride)?,
                Block::Bottleneck => bottleneck(net, y, figure, stride)?,
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
fn basic_block(net: &mut Scope, x: Value, figure: &ResNet, stride: usize) -> Result<Value, GraphError> {
    let y = net.conv2d("conv1", x, conv(figure.width, 3, stride))?;
    let y = net.batch_norm("bn1", y)?;
    let y = net.activation(y, figure.act)?;
    let y = net.conv2d("conv2", y, conv(figure.channels, 3, 1))?;
    let y = net.batch_norm_with("bn2", y, figure.last_norm)?;
    add_identity(net, x, y, figure, stride)
}

/// Residual block of a 1x1, a 3x3 and a 1x1 convolution (He et al. 2015, figure 5, right).
fn bottleneck(net: &mut Scope, x: Value, figure: &ResNet, stride: usize) -> Result<Value, GraphError> {
    let [first, second] = if figure.v1 { [stride, 1] } else { [1, stride] };
    let y = net.conv2d("conv1", x, conv(figure.width, 1, first))?;
    let y = net.batch_norm("bn1", y)?;
    let y = net.activation(y, figure.act)?;
    let y = net.conv2d("conv2", y, conv(figure.width, 3, second).groups(figure.groups))?;
    let y = net.batch_norm("bn2", y)?;
    let y = net.activation(y, figure.act)?;
    let y = net.conv2d("conv3", y, conv(figure.channels, 1, 1))?;
    let y = net.batch_norm_with("bn3", y, figure.last_norm)?;
    add_identity(net, x, y, figure, stride)
}

/// act(x + y), x through a 1x1 convolution where its shape is another.
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
    net.activation(sum, figure.act)
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
    let y = net.relu(y)?;
    let y = net.linear("fc2", y, channels)?;
    let y = net.activation(y, Activation::Sigmoid)?;
    let batch = net.shape(x)[0];
    let y = net.reshape(y, [batch, channels, 1, 1])?;
    net.mul(x, y)
}

/// Xie et al. 2017, section 5.3: three stages of three bottlenecks.
fn resnext29_cifar(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let (_, width) = grouped_width(with)?;
    let figure = ResNet { stages: &[3, 3, 3], channels: 2 * width, ..RESNET50 };
    resnet(net, x, with, &figure)
}

/// ResNet-18 with each convolution after its batch norm and activation.
fn preact_resnet18_cifar(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let width = with.width(8)?;
    let act = with.activation("activation")?;
    let mut y = net.conv2d("conv1", x, conv(width, 3, 1))?;
    for stage in 0..4 {
        for block in 0..2 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            y = preact_block(&mut net.scope(format!("layer{}.{block}", stage + 1)), y, width << stage, stride, act)?;
        }
    }
    y = net.batch_norm("bn", y)?;
    y = net.activation(y, act)?;
    y = net.scope("avgpool").global_avg_pool2d(y)?;
    y = net.flatten(y)?;
    net.linear("fc", y, with.num_classes)
}

/// He et al. 2016, figure 4e; a projection sees the activated x.
fn preact_block(
    net: &mut Scope,
    x: Value,
    channels: usize,
    stride: usize,
    act: Activation,
) -> Result<Value, GraphError> {
    let activated = net.batch_norm("bn1", x)?;
    let activated = net.activation(activated, act)?;
    let y = net.conv2d("conv1", activated, conv(channels, 3, stride))?;
    let y = net.batch_norm("bn2", y)?;
    let y = net.activation(y, act)?;
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
