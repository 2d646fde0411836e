//! Sums, products, copies and constants, element by element.

mod card;

pub(crate) use card::CARD;

use super::broadcast::{broadcast_shape, broadcast_strides, sum_to_input};
use super::walk::Walk;
use super::{expect_finite, expect_inputs};
use crate::graph::{Backward, Cost, GraphError, OnnxNode, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, WIDE, read, write};
use crate::tensor::{ElementType, HostTensor, Shape, Shapes, TensorSpec};

static ADD: Shader = Shader::new("elementwise/add", &[read("a").wide(), read("b").wide(), write("y").wide()]);
static MUL: Shader = Shader::new("elementwise/mul", &[read("a").wide(), read("b").wide(), write("y").wide()]);
static BROADCAST: Shader = Shader::new(
    "elementwise/broadcast",
    &[read("a").wide_unless("a_repeats"), read("b").wide_unless("b_repeats"), write("y").wide()],
);
static SCALE: Shader = Shader::new("elementwise/scale", &[read("x").wide(), write("y").wide()]);
static COPY: Shader = Shader::new("elementwise/copy", &[read("x").wide(), write("y").wide()]);
pub(super) static FILL: Shader = Shader::new("elementwise/fill", &[write("y")]);

/// y = a + b, with broadcasting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Add;

/// y = a * b, element by element, with broadcasting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mul;

/// The output's shape, and how a and b are walked to give it.
fn infer_pair(inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, [Walk; 2]), String> {
    expect_inputs(inputs, 2)?;
    if inputs.iter().any(|input| input.element != ElementType::F32) {
        return Err("it takes f32".to_owned());
    }
    let shape = broadcast_shape(&inputs[0].shape, &inputs[1].shape)?;
    let strides = [0, 1].map(|input| broadcast_strides(&inputs[input].shape, &shape));
    let walks = Walk::together(&shape, strides.each_ref().map(Vec::as_slice))?;
    Ok((vec![TensorSpec::f32(shape)], walks))
}

fn reference_pair(
    [a, b]: &[Walk; 2],
    inputs: &[&HostTensor],
    outputs: &mut [HostTensor],
    function: impl Fn(f32, f32) -> f32,
) {
    for (y, (a, b)) in outputs[0].f32_mut().iter_mut().zip(a.steps().zip(b.steps())) {
        *y = function(inputs[0].f32()[a], inputs[1].f32()[b]);
    }
}

/// `equal` for equal shapes, else the broadcasting kernel with the condition `mul` or without.
fn launch_pair(
    [a, b]: &[Walk; 2],
    launch: &mut Launch<'_>,
    equal: &'static Shader,
    mul: bool,
) -> Result<(), Unsupported> {
    let operands = [("a", Operand::input(0)), ("b", Operand::input(1)), ("y", Operand::output(0))];
    let count = launch.output(0).elements();
    if launch.input(0).shape == launch.input(1).shape {
        launch.elementwise(launch.epilogue(Kernel::new(equal)), count, operands);
    } else {
        let by_four = a.by_four(0).zip(b.by_four(0)).filter(|_| launch.width(count) == 4);
        let (is_wide, (a, b)) = (by_four.is_some(), by_four.unwrap_or((*a, *b)));
        let kernel = Kernel::new(&BROADCAST)
            .constants([("SIZES", a.sizes), ("A_STRIDES", a.strides), ("B_STRIDES", b.strides)])
            .conditions([("mul", mul), (WIDE, is_wide), ("a_repeats", a.repeats()), ("b_repeats", b.repeats())]);
        let count = if is_wide { count / 4 } else { count };
        launch.linear(launch.epilogue(kernel), count, operands);
    }
    Ok(())
}

impl Op for Add {
    type Geometry = [Walk; 2];

    fn name(&self) -> &'static str {
        "add"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        infer_pair(inputs)
    }

    fn gradient(&self, _: &[Walk; 2], backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None; 2]) };
        let gradient = |input| match backward.wants(input) {
            true => sum_to_input(backward, input, dy),
            false => Ok(None),
        };
        (0..2).map(gradient).collect()
    }

    fn reference(&self, walks: &[Walk; 2], inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        reference_pair(walks, inputs, outputs, |a, b| a + b);
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, walks: &[Walk; 2], launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch_pair(walks, launch, &ADD, false)
    }

    fn takes_activation(&self) -> bool {
        true
    }

    fn cost(&self, _: &[Walk; 2], shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        node.give("Add", node.inputs(), vec![]);
        Ok(())
    }
}

impl Op for Mul {
    type Geometry = [Walk; 2];

    fn name(&self) -> &'static str {
        "mul"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        infer_pair(inputs)
    }

    fn gradient(&self, _: &[Walk; 2], backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None; 2]) };
        let gradient = |input| {
            if !backward.wants(input) {
                return Ok(None);
            }
            let other = backward.input(1 - input);
            let product = backward.apply_one(Mul, &[dy, other])?;
            sum_to_input(backward, input, product)
        };
        (0..2).map(gradient).collect()
    }

    fn reference(&self, walks: &[Walk; 2], inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        reference_pair(walks, inputs, outputs, |a, b| a * b);
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, walks: &[Walk; 2], launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch_pair(walks, launch, &MUL, true)
    }

    fn cost(&self, _: &[Walk; 2], shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        node.give("Mul", node.inputs(), vec![]);
        Ok(())
    }
}

/// y = `factor` * x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// What every element is multiplied by.
    pub factor: f32,
}

impl Op for Scale {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "scale"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        expect_finite("factor", self.factor)?;
        match inputs[0].element {
            ElementType::F32 => Ok((vec![inputs[0].clone()], ())),
            _ => Err("it takes f32".to_owned()),
        }
    }

    fn gradient(&self, (): &(), backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        Ok(vec![Some(backward.apply_one(*self, &[dy])?)])
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        for (y, &x) in outputs[0].f32_mut().iter_mut().zip(inputs[0].f32()) {
            *y = self.factor * x;
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let count = launch.output(0).elements();
        let kernel = Kernel::new(&SCALE).constant("FACTOR", self.factor);
        launch.elementwise(kernel, count, [("x", Operand::input(0)), ("y", Operand::output(0))]);
        Ok(())
    }

    fn cost(&self, (): &(), shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let factor = node.scalar(self.factor);
        node.give("Mul", [node.inputs(), vec![factor]].concat(), vec![]);
        Ok(())
    }
}

/// y = x, in memory of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Copy;

impl Op for Copy {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "copy"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        Ok((vec![inputs[0].clone()], ()))
    }

    fn gradient(&self, (): &(), backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        Ok(vec![backward.upstream()])
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        outputs[0].f32_mut().copy_from_slice(inputs[0].f32());
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let count = launch.output(0).elements();
        launch.elementwise(Kernel::new(&COPY), count, [("x", Operand::input(0)), ("y", Operand::output(0))]);
        Ok(())
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        node.give("Identity", node.inputs(), vec![]);
        Ok(())
    }
}

/// A tensor whose every element is `value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// Of every element.
    pub value: f32,
    /// Of y.
    pub shape: Shape,
}

impl Op for Fill {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "fill"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 0)?;
        expect_finite("value", self.value)?;
        Ok((vec![TensorSpec::f32(self.shape.clone())], ()))
    }

    fn reference(&self, (): &(), _: &[&HostTensor], outputs: &mut [HostTensor]) {
        outputs[0].f32_mut().fill(self.value);
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let count = launch.output(0).elements();
        let kernel = Kernel::new(&FILL).constant("VALUE", self.value);
        launch.linear(kernel, count, [("y", Operand::output(0))]);
        Ok(())
    }
}
