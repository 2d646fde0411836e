//! Softmax and its logarithm over one dimension.

mod card;

pub(crate) use card::CARD;

use super::expect_inputs;
use crate::graph::{Backward, Cost, GraphError, OnnxAttribute, OnnxNode, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{ElementType, HostTensor, Shape, Shapes, TensorSpec};

static ROW_SUMS: Shader = Shader::new("softmax/row_sums", &[read("x"), write("sums")]);
static FORWARD: Shader = Shader::new("softmax/forward", &[read("x"), read("sums"), write("y")]);
static ROW_GRADIENTS: Shader =
    Shader::new("softmax/row_gradients", &[read("dy"), write("sums"), read("y").unless("log")]);
static BACKWARD: Shader = Shader::new("softmax/backward", &[read("y"), read("dy"), read("sums"), write("dx")]);

/// y = exp(x) / sum of exp(x) over dimension `dim`, or its logarithm. All x are taken less the largest,
/// so that none overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// From 0.
    pub dim: usize,
    /// Whether y is the logarithm.
    pub log: bool,
}

/// A tensor as rows of `size` elements that lie `inner` apart.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    count: usize,
    size: usize,
    inner: usize,
}

impl Rows {
    fn of(shape: &Shape, dim: usize) -> Rows {
        Rows { count: shape.elements() / shape[dim].max(1), size: shape[dim], inner: shape.stride(dim) }
    }

    /// Indices of the elements of row `row`.
    fn elements(&self, row: usize) -> impl Iterator<Item = usize> + Clone + use<> {
        let (size, inner) = (self.size, self.inner);
        let first = row / inner * size * inner + row % inner;
        (0..size).map(move |i| first + i * inner)
    }

    fn kernel(&self, shader: &'static Shader, log: bool) -> Kernel {
        Kernel::new(shader).constants([("SIZE", self.size), ("INNER", self.inner)]).condition("log", log)
    }
}

impl Op for Softmax {
    type Geometry = Rows;

    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        if inputs[0].element != ElementType::F32 || self.dim >= inputs[0].shape.len() {
            return Err(format!("it takes f32 with a dimension {}", self.dim));
        }
        Ok((vec![inputs[0].clone()], Rows::of(&inputs[0].shape, self.dim)))
    }

    fn gradient(&self, _: &Rows, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let y = backward.output(0);
        Ok(vec![Some(backward.apply_one(SoftmaxBackward(*self), &[y, dy])?)])
    }

    fn reference(&self, rows: &Rows, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let x = |i: usize| f64::from(inputs[0].f32()[i]);
        for row in 0..rows.count {
            let largest = rows.elements(row).map(x).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = rows.elements(row).map(|i| (x(i) - largest).exp()).sum();
            for i in rows.elements(row) {
                let log = x(i) - largest - sum.ln();
                outputs[0].f32_mut()[i] = if self.log { log as f32 } else { log.exp() as f32 };
            }
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, rows: &Rows, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.expect_loop(2 * rows.size)?;
        let sums = launch.scratch(2 * rows.count);
        launch.linear(rows.kernel(&ROW_SUMS, self.log), rows.count, [("x", Operand::input(0)), ("sums", sums)]);
        let kernel = rows.kernel(&FORWARD, self.log);
        let operands = [("x", Operand::input(0)), ("sums", sums), ("y", Operand::output(0))];
        launch.linear(kernel, launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &Rows, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 5 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let kind = if self.log { "LogSoftmax" } else { "Softmax" };
        node.give(kind, node.inputs(), vec![OnnxAttribute::int("axis", self.dim)]);
        Ok(())
    }
}

/// dx = y (dy - sum of y dy), or dy - exp(y) sum of dy for the logarithm; inputs y and dy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftmaxBackward(pub Softmax);

impl Op for SoftmaxBackward {
    type Geometry = Rows;

    fn name(&self) -> &'static str {
        "softmax_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        match inputs[0] == inputs[1] {
            true => self.0.infer(&inputs[..1]),
            false => Err("y and its gradient have one shape".to_owned()),
        }
    }

    fn reference(&self, rows: &Rows, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let y = |i: usize| f64::from(inputs[0].f32()[i]);
        let dy = |i: usize| f64::from(inputs[1].f32()[i]);
        for row in 0..rows.count {
            let sum: f64 = rows.elements(row).map(|i| if self.0.log { dy(i) } else { y(i) * dy(i) }).sum();
            for i in rows.elements(row) {
                let dx = if self.0.log { dy(i) - y(i).exp() * sum } else { y(i) * (dy(i) - sum) };
                outputs[0].f32_mut()[i] = dx as f32;
            }
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, rows: &Rows, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.expect_loop(rows.size)?;
        let sums = launch.scratch(rows.count);
        let (y, dy) = (("y", Operand::input(0)), ("dy", Operand::input(1)));
        let operands = [dy, ("sums", sums)].into_iter().chain((!self.0.log).then_some(y));
        launch.linear(rows.kernel(&ROW_GRADIENTS, self.0.log), rows.count, operands);
        let kernel = rows.kernel(&BACKWARD, self.0.log);
        launch.linear(kernel, launch.output(0).elements(), [y, dy, ("sums", sums), ("dx", Operand::output(0))]);
        Ok(())
    }

    fn cost(&self, _: &Rows, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 4 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
