//! Numpy's broadcasting: shapes are aligned at their last dimension, and a dimension of size 1, or
//! one that is missing, repeats.

mod card;

pub(crate) use card::CARD;

use super::walk::{Walk, row_major};
use super::{expect_inputs, reduce, sum_parts};
use crate::graph::{Backward, Cost, GraphError, OnnxNode, OnnxSize, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{ElementType, HostTensor, Shape, Shapes, TensorSpec};

static PARTIAL_SUM: Shader = Shader::new("reduce/partial_sum", &[read("x"), write("part")]);

/// The shape of an element-wise function of `a` and `b`, or the rule that they break.
pub(super) fn broadcast_shape(a: &Shape, b: &Shape) -> Result<Shape, String> {
    let rank = a.len().max(b.len());
    let sizes = (0..rank).map(|dimension| {
        let size = |shape: &Shape| (dimension + shape.len()).checked_sub(rank).map_or(1, |own| shape[own]);
        match (size(a), size(b)) {
            (a, b) if a == b => Ok(a),
            (1, size) | (size, 1) => Ok(size),
            (a, b) => Err(format!("sizes {a} and {b} of a dimension are neither equal nor 1")),
        }
    });
    Ok(sizes.collect::<Result<Vec<_>, _>>()?.into())
}

/// Strides of a tensor of shape `from` that is walked as if it had the shape `to`.
pub(super) fn broadcast_strides(from: &Shape, to: &Shape) -> Vec<usize> {
    let missing = to.len() - from.len();
    let own = row_major(from).into_iter().enumerate();
    let own = own.map(|(dimension, stride)| if from[dimension] == 1 { 0 } else { stride });
    std::iter::repeat_n(0, missing).chain(own).collect()
}

/// `gradient`, summed back to the shape of an input that was broadcast.
pub(super) fn sum_to_input(
    backward: &mut Backward<'_>,
    input: usize,
    gradient: Value,
) -> Result<Option<Value>, GraphError> {
    let shape = backward.shape(backward.input(input)).clone();
    match *backward.shape(gradient) == shape {
        true => Ok(Some(gradient)),
        false => Ok(Some(backward.apply_one(SumTo { shape, factor: 1.0 }, &[gradient])?)),
    }
}

/// Checks one f32 tensor of a shape that `small` broadcasts to.
fn expect_broadcast(small: &Shape, large: &Shape) -> Result<(), String> {
    match small.len() <= large.len() && broadcast_shape(small, large)? == *large {
        true => Ok(()),
        false => Err(format!("{small} does not broadcast to {large}")),
    }
}

/// y = `factor` * x, repeated to `shape`.
#[derive(Clone, Debug, PartialEq)]
pub struct BroadcastTo {
    /// Of y: the last dimensions are those of x, or x has 1 there.
    pub shape: Shape,
    /// What every element is multiplied by.
    pub factor: f32,
}

impl BroadcastTo {
    pub(super) fn walk(&self, x: &Shape) -> Result<Walk, String> {
        Walk::new(&self.shape, &broadcast_strides(x, &self.shape))
    }
}

impl Op for BroadcastTo {
    type Geometry = Walk;

    fn name(&self) -> &'static str {
        "broadcast_to"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        if inputs[0].element != ElementType::F32 {
            return Err("it takes f32".to_owned());
        }
        expect_broadcast(&inputs[0].shape, &self.shape)?;
        Ok((vec![TensorSpec::f32(self.shape.clone())], self.walk(&inputs[0].shape)?))
    }

    fn gradient(&self, _: &Walk, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let shape = backward.shape(backward.input(0)).clone();
        Ok(vec![Some(backward.apply_one(SumTo { shape, factor: self.factor }, &[dy])?)])
    }

    fn reference(&self, walk: &Walk, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        for (y, at) in outputs[0].f32_mut().iter_mut().zip(walk.steps()) {
            *y = self.factor * inputs[0].f32()[at];
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, &walk: &Walk, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        super::layout::gather(launch, walk, 0, self.factor);
        Ok(())
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let sizes = node.output_sizes(0)?;
        let shape = node.shape_list(&sizes);
        node.give_scaled("Expand", [node.inputs(), vec![shape]].concat(), self.factor);
        Ok(())
    }
}

/// y = `factor` * x, summed over the dimensions that `shape` lacks or has as 1.
#[derive(Clone, Debug, PartialEq)]
pub struct SumTo {
    /// Of y, to which x could be broadcast.
    pub shape: Shape,
    /// What every sum is multiplied by.
    pub factor: f32,
}

/// A sum over some dimensions of a tensor, times a factor.
#[derive(Clone, Copy, Debug)]
pub struct Reduction {
    kept: Walk,
    summed: Walk,
    factor: f32,
}

impl SumTo {
    /// What is kept and what is summed of x.
    pub(super) fn reduction(&self, x: &Shape) -> Result<Reduction, String> {
        let strides = row_major(x);
        let kept = broadcast_strides(&self.shape, x);
        let walk = |summed: bool| {
            let chosen: Vec<usize> = (0..x.len()).filter(|&d| x[d] > 1 && (kept[d] == 0) == summed).collect();
            let of = |all: &[usize]| chosen.iter().map(|&d| all[d]).collect::<Vec<_>>();
            Walk::new(&of(x), &of(&strides))
        };
        Ok(Reduction { kept: walk(false)?, summed: walk(true)?, factor: self.factor })
    }
}

impl Reduction {
    /// Adds the dispatches that reduce the node's first input to its first output.
    pub(super) fn dispatch(&self, launch: &mut Launch<'_>) {
        let Reduction { kept, summed, factor } = *self;
        let (outputs, elements) = (launch.output(0).elements(), summed.sizes.iter().product());
        let lanes = reduce::channel_lanes(launch.profile(), outputs, elements);
        let kernel = Kernel::new(&PARTIAL_SUM)
            .constants([("LANES", lanes), ("REDUCED", elements)])
            .constants([
                ("KEPT_SIZES", kept.sizes),
                ("KEPT_STRIDES", kept.strides),
                ("REDUCED_SIZES", summed.sizes),
                ("REDUCED_STRIDES", summed.strides),
            ])
            .constant("FACTOR", factor);
        if lanes == 1 {
            return launch.linear(kernel, outputs, [("x", Operand::input(0)), ("part", Operand::output(0))]);
        }
        let partial = launch.scratch(outputs * lanes);
        launch.linear(kernel, outputs * lanes, [("x", Operand::input(0)), ("part", partial)]);
        sum_parts(launch, partial, outputs, lanes, 1, lanes, Operand::output(0));
    }
}

impl Op for SumTo {
    type Geometry = Reduction;

    fn name(&self) -> &'static str {
        "sum_to"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        if inputs[0].element != ElementType::F32 {
            return Err("it takes f32".to_owned());
        }
        expect_broadcast(&self.shape, &inputs[0].shape)?;
        Ok((vec![TensorSpec::f32(self.shape.clone())], self.reduction(&inputs[0].shape)?))
    }

    fn gradient(&self, _: &Reduction, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let shape = backward.shape(backward.input(0)).clone();
        Ok(vec![Some(backward.apply_one(BroadcastTo { shape, factor: self.factor }, &[dy])?)])
    }

    fn reference(&self, reduction: &Reduction, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let Reduction { kept, summed, factor } = *reduction;
        for (y, first) in outputs[0].f32_mut().iter_mut().zip(kept.steps()) {
            let sum: f64 = summed.steps().map(|at| f64::from(inputs[0].f32()[first + at])).sum();
            *y = (f64::from(factor) * sum) as f32;
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, reduction: &Reduction, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        reduction.dispatch(launch);
        Ok(())
    }

    fn cost(&self, _: &Reduction, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    /// A sum over the dimensions that have the size 1 in the result.
    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let (x, y) = (node.input_sizes(0)?, node.output_sizes(0)?);
        if x.len() != y.len() {
            return Err("it sums leading dimensions away".to_owned());
        }
        let dims: Vec<usize> = (0..x.len()).filter(|&dim| x[dim] != y[dim]).collect();
        if dims.iter().any(|&dim| matches!(x[dim], OnnxSize::Batch(_))) {
            return Err("it sums over the batch".to_owned());
        }
        let axes = node.ints(dims.iter().map(|&dim| dim as i64));
        node.give_scaled("ReduceSum", [node.inputs(), vec![axes]].concat(), self.factor);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_aligned_at_their_last_dimension() {
        let shape = |sizes: &[usize]| Shape::from(sizes);
        assert_eq!(broadcast_shape(&shape(&[3, 1, 5]), &shape(&[2, 1])), Ok(shape(&[3, 2, 5])));
        assert_eq!(broadcast_shape(&shape(&[]), &shape(&[4])), Ok(shape(&[4])));
        assert!(broadcast_shape(&shape(&[3]), &shape(&[4])).is_err());
        assert_eq!(broadcast_strides(&shape(&[2, 1]), &shape(&[3, 2, 5])), [0, 1, 0]);
    }
}
