//! PReLU (He et al. 2015): a ReLU that learns its slope below 0.

mod card;

pub(crate) use card::CARD;

use super::{ChannelSum, expect_inputs};
use crate::graph::{Backward, Cost, GraphError, OnnxNode, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, WIDE, read, write};
use crate::tensor::{ElementType, HostTensor, Shapes, TensorSpec};

static FORWARD: Shader = Shader::new("prelu/forward", &[read("x").wide(), read("slopes"), write("y").wide()]);
static BACKWARD: Shader = Shader::new(
    "prelu/backward",
    &[read("x").wide(), read("slopes"), read("dy").wide(), write("dx").wide(), write("terms").wide().when("terms")],
);

/// y = x where it is above 0, else slope * x. Inputs x and the slope, `[1]`, or of each channel, `[C]`: x is then
/// `[N, C, ...]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PRelu;

/// x as outer x channels x inner, with a slope for each channel.
#[derive(Clone, Copy, Debug)]
pub struct Channels {
    outer: usize,
    channels: usize,
    inner: usize,
}

impl Channels {
    fn of(x: &TensorSpec, slopes: &TensorSpec) -> Result<Channels, String> {
        if x.element != ElementType::F32 || slopes.element != ElementType::F32 {
            return Err("it takes tensors of f32".to_owned());
        }
        match (&x.shape[..], &slopes.shape[..]) {
            (_, [1]) => Ok(Channels { outer: 1, channels: 1, inner: x.elements() }),
            (&[outer, channels, ..], &[slopes]) if slopes == channels => {
                Ok(Channels { outer, channels, inner: x.shape.stride(1) })
            }
            _ => Err(format!("its slope is [1], or [C] of x [N, C, ...], but not {} of {}", slopes.shape, x.shape)),
        }
    }

    fn slope(&self, element: usize) -> usize {
        element / self.inner.max(1) % self.channels
    }

    /// One invocation per element, or per four of one channel.
    fn launch(&self, launch: &mut Launch<'_>, shader: &'static Shader, operands: Vec<(&'static str, Operand)>) {
        let by = launch.width(self.inner);
        let has_terms = operands.iter().any(|(name, _)| *name == "terms");
        let kernel = Kernel::new(shader)
            .constant("CHANNELS", self.channels)
            .constant("INNER", (self.inner / by).max(1))
            .condition("terms", has_terms)
            .condition(WIDE, by > 1);
        launch.linear(kernel, launch.input(0).elements() / by, operands);
    }
}

impl Op for PRelu {
    type Geometry = Channels;

    fn name(&self) -> &'static str {
        "prelu"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Channels), String> {
        expect_inputs(inputs, 2)?;
        Ok((vec![inputs[0].clone()], Channels::of(inputs[0], inputs[1])?))
    }

    fn gradient(&self, of: &Channels, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None, None]) };
        let inputs = [backward.input(0), backward.input(1), dy];
        let [dx, terms] = backward.apply(PReluBackward, &inputs)?[..] else { return Ok(vec![None, None]) };
        let &Channels { outer, channels, inner } = of;
        let dslope = match backward.wants(1) {
            true => Some(backward.apply_one(ChannelSum { outer, channels, inner }, &[terms])?),
            false => None,
        };
        Ok(vec![Some(dx), dslope])
    }

    fn reference(&self, of: &Channels, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let slopes = inputs[1].f32();
        for (i, (y, &x)) in outputs[0].f32_mut().iter_mut().zip(inputs[0].f32()).enumerate() {
            *y = if x > 0.0 { x } else { slopes[of.slope(i)] * x };
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, of: &Channels, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let operands = Operand::inputs(&["x", "slopes"]).chain([("y", Operand::output(0))]).collect();
        of.launch(launch, &FORWARD, operands);
        Ok(())
    }

    fn cost(&self, _: &Channels, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let mut inputs = node.inputs();
        let after = node.input_shape(0).len().saturating_sub(2);
        if node.input_shape(1).elements() > 1 && after > 0 {
            let column = node.ints([-1].into_iter().chain(std::iter::repeat_n(1, after)));
            inputs[1] = node.step("Reshape", vec![inputs[1].clone(), column], vec![]);
        }
        node.give("PRelu", inputs, vec![]);
        Ok(())
    }
}

/// dx = dy where x is above 0, else slope * dy; and x * dy where x is not above 0, else 0, of which the slope's gradient
/// is a sum. Inputs x, slope and dy; both outputs have the shape of x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PReluBackward;

impl Op for PReluBackward {
    type Geometry = Channels;

    fn name(&self) -> &'static str {
        "prelu_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Channels), String> {
        expect_inputs(inputs, 3)?;
        match inputs[0] == inputs[2] {
            true => Ok((vec![inputs[0].clone(); 2], Channels::of(inputs[0], inputs[1])?)),
            false => Err("its gradient has the shape of x".to_owned()),
        }
    }

    fn reference(&self, of: &Channels, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let [x, slopes, dy] = [0, 1, 2].map(|input| inputs[input].f32());
        for (i, (&x, &dy)) in x.iter().zip(dy).enumerate() {
            let (dx, term) = if x > 0.0 { (dy, 0.0) } else { (slopes[of.slope(i)] * dy, x * dy) };
            (outputs[0].f32_mut()[i], outputs[1].f32_mut()[i]) = (dx, term);
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, of: &Channels, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let terms = launch.is_read(1).then(|| ("terms", Operand::output(1)));
        let operands = Operand::inputs(&["x", "slopes", "dy"]).chain([("dx", Operand::output(0))]).chain(terms);
        let operands = operands.collect();
        of.launch(launch, &BACKWARD, operands);
        Ok(())
    }

    fn cost(&self, _: &Channels, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 2 * shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
