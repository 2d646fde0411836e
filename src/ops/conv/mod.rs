//! Two-dimensional convolution (cross-correlation) and linear layers, forward and both gradients.
//!
//! A linear layer is a 1x1 convolution of 1x1 images, so all of them share their kernels.

mod card;
mod choice;
mod cooperative;
mod depthwise;
mod geometry;
mod linear;
mod part;
mod plain;
mod reference;
mod split;
mod texture;
mod workgroup;

pub(crate) use card::CARD;

pub use choice::{ConvKernels, ConvPass, ConvShape};
pub use geometry::{ConvGeometry, output_size};
pub use linear::Linear;

use crate::graph::{Backward, Cost, GraphError, OnnxAttribute, OnnxNode, Op, Value};
use crate::kernel::{DeviceClass, Launch, Operand, Unsupported};
use crate::ops::ChannelSum;
use crate::ops::reduce::sum_parts;
use crate::tensor::{HostTensor, Shape, Shapes, TensorSpec};
use part::{ALIGNMENT, Part, parts};
use workgroup::Body;

/// `y[n, k] = bias[k] + sum of w[k, c, tap] * x[n, c, ...]`; inputs x, weight `[K, C/groups, kh, kw]`
/// and, optionally, bias `[K]`. Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Pixels from one window to the next.
    pub stride: [usize; 2],
    /// Zeros before and after x.
    pub padding: [usize; 2],
    /// Pixels from one tap of a filter to the next.
    pub dilation: [usize; 2],
    /// Parts of channels and filters that see nothing of each other.
    pub groups: usize,
}

impl Default for Conv2d {
    fn default() -> Self {
        Conv2d { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

impl Conv2d {
    /// The sizes, or the rule that the shapes break.
    pub(crate) fn geometry(&self, x: &Shape, weight: &Shape) -> Result<ConvGeometry, String> {
        let [batch, channels, height, width] =
            x.nchw().ok_or_else(|| "it convolves images of shape [N, C, H, W]".to_owned())?;
        let [filters, group_channels, kh, kw] =
            weight.nchw().ok_or_else(|| "its weight has the shape [K, C/groups, kh, kw]".to_owned())?;
        let numbers = [self.stride, self.dilation, [kh, kw], [self.groups, filters]];
        if numbers.as_flattened().contains(&0) {
            return Err("stride, dilation, kernel, groups and filters are at least 1".to_owned());
        }
        if channels != group_channels * self.groups || filters % self.groups != 0 {
            return Err(format!(
                "{channels} channels in {} groups need a weight of [K, {}, kh, kw], K a multiple of the groups",
                self.groups,
                channels / self.groups
            ));
        }
        let out = |axis: usize, size: usize, kernel: usize| {
            output_size(size, kernel, self.stride[axis], self.padding[axis], self.dilation[axis]).ok_or_else(|| {
                format!(
                    "a window of {kernel} with dilation {} does not fit into {size} with padding {}",
                    self.dilation[axis], self.padding[axis]
                )
            })
        };
        Ok(ConvGeometry {
            batch,
            channels,
            size: [height, width],
            filters,
            kernel: [kh, kw],
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
            out: [out(0, height, kh)?, out(1, width, kw)?],
        })
    }
}

impl Op for Conv2d {
    type Geometry = ConvGeometry;

    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let [x, weight, bias @ ..] = inputs else {
            return Err("it takes an image, a weight and, optionally, a bias".to_owned());
        };
        let geometry = self.geometry(&x.shape, &weight.shape)?;
        check_bias(bias, geometry.filters)?;
        let [height, width] = geometry.out;
        Ok((vec![TensorSpec::f32([geometry.batch, geometry.filters, height, width])], geometry))
    }

    fn gradient(&self, geometry: &ConvGeometry, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        gradients(backward, *geometry)
    }

    fn reference(&self, geometry: &ConvGeometry, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let bias = inputs.get(2).map(|bias| bias.f32());
        reference::forward(geometry, inputs[0].f32(), inputs[1].f32(), bias, outputs[0].f32_mut());
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, geometry: &ConvGeometry, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        forward(launch, geometry)
    }

    fn takes_activation(&self) -> bool {
        true
    }

    fn cost(&self, geometry: &ConvGeometry, shapes: &Shapes<'_>) -> Cost {
        cost(geometry, shapes)
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let kernel = node.input_shape(1)[2..].to_vec();
        let attributes = vec![
            OnnxAttribute::ints("kernel_shape", kernel),
            OnnxAttribute::ints("strides", self.stride),
            OnnxAttribute::ints("pads", [self.padding, self.padding].concat()),
            OnnxAttribute::ints("dilations", self.dilation),
            OnnxAttribute::int("group", self.groups),
        ];
        node.give("Conv", node.inputs(), attributes);
        Ok(())
    }
}

/// Gradient of a convolution or linear layer by its input; inputs dy and weight.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvInputGradient {
    /// Sizes of the layer.
    pub geometry: ConvGeometry,
    /// Shape of the layer's input.
    pub shape: Shape,
}

impl Op for ConvInputGradient {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "conv_input_gradient"
    }

    fn infer(&self, _: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        Ok((vec![TensorSpec::f32(self.shape.clone())], ()))
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        reference::input_gradient(&self.geometry, inputs[0].f32(), inputs[1].f32(), outputs[0].f32_mut());
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let all = parts(launch, &self.geometry);
        let elements = launch.output(0).elements();
        // The parts' gradients lie side by side, each where a binding may start, until they are summed.
        let pitch = elements.next_multiple_of(ALIGNMENT);
        let scratch = (all.len() > 1).then(|| launch.scratch(all.len() * pitch));
        for (index, part) in all.iter().enumerate() {
            let dx = match scratch {
                Some(scratch) => scratch.slice(index * pitch, elements),
                None => Operand::output(0),
            };
            match variant(launch, ConvPass::InputGradient, part) {
                Variant::Texture(tile) => texture::input_gradient(launch, part, dx, tile),
                Variant::Workgroup(body) => workgroup::input_gradient(launch, part, dx, body),
                form @ (Variant::Depthwise | Variant::Plain) => {
                    launch.expect_loop(loop_steps(part.geometry.group_filters(), part.geometry.kernel))?;
                    match form {
                        Variant::Depthwise if depthwise::input_gradient_suits(&part.geometry) => {
                            depthwise::input_gradient(launch, part, dx);
                        }
                        _ => plain::input_gradient(launch, part, dx),
                    }
                }
            }
        }
        if let Some(scratch) = scratch {
            sum_parts(launch, scratch, elements, 1, pitch, all.len(), Operand::output(0));
        }
        Ok(())
    }

    fn cost(&self, (): &(), shapes: &Shapes<'_>) -> Cost {
        cost(&self.geometry, shapes)
    }
}

/// Gradient of a convolution or linear layer by its weight and, if it is wanted, by its bias `[K]`, the sum
/// of dy over batch and pixels; inputs x and dy.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvWeightGradient {
    /// Sizes of the layer.
    pub geometry: ConvGeometry,
    /// Shape of the layer's weight.
    pub shape: Shape,
    /// Whether the gradient of the bias is a second output.
    pub bias: bool,
}

impl Op for ConvWeightGradient {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "conv_weight_gradient"
    }

    fn infer(&self, _: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let weight = TensorSpec::f32(self.shape.clone());
        let bias = self.bias.then(|| TensorSpec::f32([self.geometry.filters]));
        Ok(([weight].into_iter().chain(bias).collect(), ()))
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        reference::weight_gradient(&self.geometry, inputs[0].f32(), inputs[1].f32(), outputs[0].f32_mut());
        if self.bias {
            bias_sum(&self.geometry).sum(inputs[1].f32(), outputs[1].f32_mut());
        }
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let all = parts(launch, &self.geometry);
        let sums_bias = all.iter().all(|part| variant(launch, ConvPass::WeightGradient, part).sums_bias());
        for part in &all {
            let db = (self.bias && sums_bias).then(|| part.bias(Operand::output(1)));
            match variant(launch, ConvPass::WeightGradient, part) {
                Variant::Texture(tile) => texture::weight_gradient(launch, part, db, tile),
                Variant::Workgroup(body) => workgroup::weight_gradient(launch, part, db, body),
                Variant::Depthwise => depthwise::weight_gradient(launch, part, db),
                Variant::Plain => plain::weight_gradient(launch, part, db),
            }
        }
        if self.bias && !sums_bias {
            bias_sum(&self.geometry).dispatch(launch, Operand::input(1), Operand::output(1));
        }
        Ok(())
    }

    fn cost(&self, (): &(), shapes: &Shapes<'_>) -> Cost {
        cost(&self.geometry, shapes)
    }
}

/// Which family of kernels runs a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    /// One invocation per output: the measure of the others, and the last resort.
    Plain,
    /// Operands packed into textures, register tiles of so many rows and columns at most, no barriers: for CPU
    /// adapters.
    Texture(usize),
    /// Tiles in workgroup memory: for GPUs.
    Workgroup(Body),
    /// Kernels of their own for convolutions of one channel a filter, on every device.
    Depthwise,
}

impl Variant {
    /// Whether the kernels of the weight gradient sum dy over batch and pixels on the way.
    fn sums_bias(self) -> bool {
        !matches!(self, Variant::Workgroup(Body::MatrixUnits(_)))
    }
}

/// What the device's table says, else the written rule. A grouped convolution's tile must lie within its
/// group, or lanes idle.
fn variant(launch: &Launch<'_>, pass: ConvPass, part: &Part) -> Variant {
    let (profile, geometry) = (launch.profile(), &part.geometry);
    if let Some(variant) = choice::tabled(launch, pass, part) {
        return variant;
    }
    let narrow = geometry.groups > 1 && geometry.group_filters().min(geometry.group_channels()) < 4;
    let units = profile.matrix_units.filter(|units| launch.is_half() && workgroup::fills(*units, pass, geometry));
    match (profile.class, units) {
        _ if profile.plain_kernels => Variant::Plain,
        _ if depthwise::suits(geometry) => Variant::Depthwise,
        _ if narrow => Variant::Plain,
        (_, Some(units)) => Variant::Workgroup(Body::MatrixUnits(units)),
        (DeviceClass::Cpu, None) if texture::fits(profile, geometry) => Variant::Texture(texture::tile_size(geometry)),
        (DeviceClass::Cpu, None) => Variant::Plain,
        (DeviceClass::Gpu, None) => Variant::Workgroup(Body::Threads(None)),
    }
}

fn forward(launch: &mut Launch<'_>, geometry: &ConvGeometry) -> Result<(), Unsupported> {
    for part in parts(launch, geometry) {
        match variant(launch, ConvPass::Forward, &part) {
            Variant::Texture(tile) => texture::forward(launch, &part, tile),
            Variant::Workgroup(body) => workgroup::forward(launch, &part, body),
            Variant::Depthwise => depthwise::forward(launch, &part),
            Variant::Plain => {
                launch.expect_loop(loop_steps(geometry.group_channels(), geometry.kernel))?;
                plain::forward(launch, &part);
            }
        }
    }
    Ok(())
}

/// Steps of the plain kernels' loops over channels and taps; a loop over one tap is none.
fn loop_steps(channels: usize, [kh, kw]: [usize; 2]) -> usize {
    match kh * kw {
        1 => channels,
        taps => channels * (1 + kh + taps),
    }
}

/// The gradients of input, weight and bias, as far as they are wanted.
fn gradients(backward: &mut Backward<'_>, geometry: ConvGeometry) -> Result<Vec<Option<Value>>, GraphError> {
    let (x, weight) = (backward.input(0), backward.input(1));
    let has_bias = backward.inputs() == 3;
    let Some(dy) = backward.upstream() else { return Ok(vec![None; backward.inputs()]) };
    let mut gradients = vec![None; backward.inputs()];
    let bias = has_bias && backward.wants(2);
    if backward.wants(1) {
        let shape = backward.shape(weight).clone();
        let own = backward.apply(ConvWeightGradient { geometry, shape, bias }, &[x, dy])?;
        gradients[1..].iter_mut().zip(own).for_each(|(gradient, own)| *gradient = Some(own));
    } else if bias {
        gradients[2] = Some(backward.apply_one(bias_sum(&geometry), &[dy])?);
    }
    if backward.wants(0) {
        let shape = backward.shape(x).clone();
        gradients[0] = Some(backward.apply_one(ConvInputGradient { geometry, shape }, &[dy, weight])?);
    }
    Ok(gradients)
}

/// The gradient of a bias, from dy.
fn bias_sum(geometry: &ConvGeometry) -> ChannelSum {
    ChannelSum { outer: geometry.batch, channels: geometry.filters, inner: geometry.out[0] * geometry.out[1] }
}

fn check_bias(bias: &[&TensorSpec], filters: usize) -> Result<(), String> {
    match bias {
        [] => Ok(()),
        [bias] if bias.shape[..] == [filters] => Ok(()),
        _ => Err(format!("its bias has the shape [{filters}]")),
    }
}

fn cost(geometry: &ConvGeometry, shapes: &Shapes<'_>) -> Cost {
    Cost { flops: 2 * geometry.multiply_adds(), bytes: shapes.bytes() }
}
