//! The nearest matrix whose singular values are all about 1, by Newton and Schulz's iteration (Jordan et al. 2024).

use super::GradientTransform;
use super::clip::squared_norm;
use super::rules::larger;
use super::step::chunks;
use crate::graph::{Cost, Graph, GraphError, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::{ConvGeometry, ConvInputGradient, ConvWeightGradient, Linear, expect_inputs};
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static UNIT_NORM: Shader = Shader::new("optimizer/unit_norm", &[read("x"), read("square"), write("y")]);
static WEIGHTED_SUM: Shader = Shader::new("optimizer/weighted_sum", &[read("a"), read("b"), write("y")]);

/// The quintic a x + b x^3 + c x^5 that each step applies to the singular values: steep at 0, and after a few steps
/// between 0.7 and 1.2 from almost anywhere in (0, 1].
const QUINTIC: [f32; 3] = [3.4445, -4.7750, 2.0315];

/// Adds to a graph the matrix U V^T, roughly, of x = U S V^T `[rows, columns]` with a norm of at most 1.
///
/// # Errors
/// What the graph refuses.
pub fn orthogonalize(graph: &mut Graph, x: Value, steps: u64) -> Result<Value, GraphError> {
    let (rows, columns) = match graph.shape(x)[..] {
        [rows, columns] => (rows, columns),
        _ => return Err(GraphError::attribute("x", graph.shape(x).clone(), "it is a matrix")),
    };
    let [a, b, c] = QUINTIC;
    let mut x = x;
    for _ in 0..steps {
        // The smaller of X X^T and X^T X: x (a + b s + c s^2), s the squares of the singular values.
        let square = match rows <= columns {
            true => graph.apply_one(Linear, &[x, x])?,
            false => {
                let geometry = ConvGeometry::linear(rows, columns, columns);
                let product = ConvWeightGradient { geometry, shape: [columns, columns].into(), bias: false };
                graph.apply_one(product, &[x, x])?
            }
        };
        // It is symmetric: this is its square.
        let fourth = graph.apply_one(Linear, &[square, square])?;
        let mixed = graph.apply_one(WeightedSum { a: b, b: c }, &[square, fourth])?;
        let turned = match rows <= columns {
            true => {
                let geometry = ConvGeometry::linear(rows, columns, rows);
                graph.apply_one(ConvInputGradient { geometry, shape: [rows, columns].into() }, &[mixed, x])?
            }
            false => graph.apply_one(Linear, &[x, mixed])?,
        };
        x = graph.apply_one(WeightedSum { a, b: 1.0 }, &[x, turned])?;
    }
    Ok(x)
}

/// A part of a flat tensor as a matrix, over its Frobenius norm, or over `eps` where that is larger.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitNorm {
    /// The part's first element, a multiple of [`PACK_ALIGNMENT`](crate::graph::PACK_ALIGNMENT).
    pub first: usize,
    /// Rows of the matrix.
    pub rows: usize,
    /// Columns of the matrix.
    pub columns: usize,
    /// The least that is divided by.
    pub eps: f64,
}

impl Op for UnitNorm {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "unit_norm"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        let is_aligned = self.first.is_multiple_of(crate::graph::PACK_ALIGNMENT);
        match is_aligned && self.first + self.rows * self.columns <= inputs[0].elements() {
            true => Ok((vec![TensorSpec::f32([self.rows, self.columns])], ())),
            false => Err("the matrix lies in the tensor, from a multiple of the alignment on".to_owned()),
        }
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let part = &inputs[0].f32()[self.first..][..self.rows * self.columns];
        let norm = part.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        for (y, &x) in outputs[0].f32_mut().iter_mut().zip(part) {
            *y = (f64::from(x) / larger(norm, self.eps)) as f32;
        }
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let square = launch.scratch(1);
        let own = chunks(launch, self.rows * self.columns);
        let in_input: Vec<_> = own.iter().map(|&(first, count)| (self.first + first, count)).collect();
        squared_norm(launch, GradientTransform::default(), [0, 0], &in_input, square);
        for (first, count) in own {
            let operands = [
                ("x", Operand::input(0).slice(self.first + first, count)),
                ("square", square),
                ("y", Operand::output(0).slice(first, count)),
            ];
            launch.linear(Kernel::new(&UNIT_NORM).constant("EPS", self.eps as f32), count, operands);
        }
        Ok(())
    }

    fn cost(&self, (): &(), shapes: &Shapes<'_>) -> Cost {
        let elements = shapes.outputs[0].elements() as u64;
        Cost { flops: 3 * elements, bytes: 12 * elements }
    }
}

/// y = `a` times the first input + `b` times the second, of one shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightedSum {
    /// Factor of the first input.
    pub a: f32,
    /// Factor of the second.
    pub b: f32,
}

impl Op for WeightedSum {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "weighted_sum"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        match inputs[0].shape == inputs[1].shape {
            true => Ok((vec![inputs[0].clone()], ())),
            false => Err("both have one shape".to_owned()),
        }
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let pairs = inputs[0].f32().iter().zip(inputs[1].f32());
        for (y, (&a, &b)) in outputs[0].f32_mut().iter_mut().zip(pairs) {
            *y = (f64::from(self.a) * f64::from(a) + f64::from(self.b) * f64::from(b)) as f32;
        }
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        for (first, count) in chunks(launch, launch.input(0).elements()) {
            let kernel = Kernel::new(&WEIGHTED_SUM).constant("A", self.a).constant("B", self.b);
            let operands = [
                ("a", Operand::input(0).slice(first, count)),
                ("b", Operand::input(1).slice(first, count)),
                ("y", Operand::output(0).slice(first, count)),
            ];
            launch.linear(kernel, count, operands);
        }
        Ok(())
    }

    fn cost(&self, (): &(), shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 3 * shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
