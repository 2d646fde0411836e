//! Ops that move elements: slices, zero padding, concatenation and transposition.

use super::elementwise::FILL;
use super::expect_inputs;
use super::walk::{Walk, accepted, row_major};
use crate::graph::{Backward, GraphError, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{ElementType, HostTensor, Shape, Shapes, TensorSpec};

static GATHER: Shader = Shader::new("layout/gather", &[read("x"), write("y")]);
static SCATTER: Shader = Shader::new("layout/scatter", &[read("x"), write("y")]);

/// Output 0 = `factor` * input 0, element by element along `walk`, from element `offset` on.
pub(super) fn gather(launch: &mut Launch<'_>, walk: Walk, offset: usize, factor: f32) {
    let kernel = Kernel::new(&GATHER)
        .constants([("SIZES", walk.sizes), ("STRIDES", walk.strides)])
        .constant("OFFSET", offset)
        .constant("FACTOR", factor);
    let count = launch.output(0).elements();
    launch.linear(kernel, count, [("x", Operand::input(0)), ("y", Operand::output(0))]);
}

/// Writes an input into output 0 along `walk`, from element `offset` on.
fn scatter(launch: &mut Launch<'_>, input: usize, walk: Walk, offset: usize) {
    let kernel =
        Kernel::new(&SCATTER).constants([("SIZES", walk.sizes), ("STRIDES", walk.strides)]).constant("OFFSET", offset);
    let count = launch.input(input).elements();
    launch.linear(kernel, count, [("x", Operand::input(input)), ("y", Operand::output(0))]);
}

/// Checks that all inputs are f32 tensors of `rank` dimensions.
fn expect_rank(inputs: &[&TensorSpec], rank: usize) -> Result<(), String> {
    match inputs.iter().all(|input| input.element == ElementType::F32 && input.shape.len() == rank) {
        true => Ok(()),
        false => Err(format!("it takes tensors of f32 with {rank} dimensions")),
    }
}

/// A box inside a tensor: in dimension d the elements `start[d]` .. `start[d] + size[d]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    pub start: Vec<usize>,
    pub size: Vec<usize>,
}

impl Slice {
    /// The elements `start` .. `end` of one dimension of a tensor of that shape.
    pub fn of(shape: &Shape, dim: usize, start: usize, end: usize) -> Self {
        let mut slice = Slice { start: vec![0; shape.len()], size: shape.to_vec() };
        if let (Some(first), Some(size)) = (slice.start.get_mut(dim), slice.size.get_mut(dim)) {
            (*first, *size) = (start, end.saturating_sub(start));
        }
        slice
    }

    /// The walk over the box in a tensor of shape `whole`, and its first element.
    fn walk(&self, whole: &Shape) -> Result<(Walk, usize), String> {
        let strides = row_major(whole);
        let first = self.start.iter().zip(&strides).map(|(start, stride)| start * stride).sum();
        Ok((Walk::new(&self.size, &strides)?, first))
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        expect_inputs(inputs, 1)?;
        expect_rank(inputs, self.start.len())?;
        expect_rank(inputs, self.size.len())?;
        for ((&start, &size), &whole) in self.start.iter().zip(&self.size).zip(inputs[0].shape.iter()) {
            if size == 0 || start.checked_add(size).is_none_or(|end| end > whole) {
                return Err(format!("{size} elements from {start} on are no part of a dimension of {whole}"));
            }
        }
        self.walk(&inputs[0].shape)?;
        Ok(vec![TensorSpec::f32(self.size.clone())])
    }

    fn gradient(&self, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let whole = backward.shape(backward.input(0)).to_vec();
        let after = (0..whole.len()).map(|d| whole[d] - self.start[d] - self.size[d]).collect();
        Ok(vec![Some(backward.apply_one(ZeroPad { before: self.start.clone(), after }, &[dy])?)])
    }

    fn reference(&self, inputs: &[&HostTensor], outputs: &mut [HostTensor], shapes: &Shapes<'_>) {
        let (walk, first) = accepted(self.walk(shapes.inputs[0]));
        for (y, at) in outputs[0].f32_mut().iter_mut().zip(walk.steps()) {
            *y = inputs[0].f32()[first + at];
        }
    }

    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let (walk, first) = accepted(self.walk(&launch.input(0).shape));
        gather(launch, walk, first, 1.0);
        Ok(())
    }
}

/// x with `before[d]` zeros before and `after[d]` zeros after it in each dimension d.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZeroPad {
    pub before: Vec<usize>,
    pub after: Vec<usize>,
}

impl ZeroPad {
    /// Where x lies in the output.
    fn inner(&self, x: &Shape) -> Slice {
        Slice { start: self.before.clone(), size: x.to_vec() }
    }
}

impl Op for ZeroPad {
    fn name(&self) -> &'static str {
        "zero_pad"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        expect_inputs(inputs, 1)?;
        expect_rank(inputs, self.before.len())?;
        expect_rank(inputs, self.after.len())?;
        let padded = |d: usize| inputs[0].shape[d].checked_add(self.before[d])?.checked_add(self.after[d]);
        let sizes: Option<Vec<usize>> = (0..self.before.len()).map(padded).collect();
        let shape = Shape::from(sizes.ok_or("its padding passes all bounds")?);
        self.inner(&inputs[0].shape).walk(&shape)?;
        Ok(vec![TensorSpec::f32(shape)])
    }

    fn gradient(&self, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let inner = self.inner(backward.shape(backward.input(0)));
        Ok(vec![Some(backward.apply_one(inner, &[dy])?)])
    }

    fn reference(&self, inputs: &[&HostTensor], outputs: &mut [HostTensor], shapes: &Shapes<'_>) {
        let (walk, first) = accepted(self.inner(shapes.inputs[0]).walk(shapes.outputs[0]));
        for (&x, at) in inputs[0].f32().iter().zip(walk.steps()) {
            outputs[0].f32_mut()[first + at] = x;
        }
    }

    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let inner = self.inner(&launch.input(0).shape);
        let (walk, first) = accepted(inner.walk(&launch.output(0).shape));
        let kernel = Kernel::new(&FILL).constant("VALUE", 0.0);
        launch.linear(kernel, launch.output(0).elements(), [("y", Operand::output(0))]);
        scatter(launch, 0, walk, first);
        Ok(())
    }
}

/// The inputs one after another along dimension `dim`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concat {
    pub dim: usize,
}

impl Concat {
    /// Where each input lies in the output.
    fn parts(&self, inputs: &[&Shape]) -> Vec<Slice> {
        let mut end = 0;
        let part = |shape: &&Shape| {
            let mut start = vec![0; shape.len()];
            start[self.dim] = end;
            end += shape[self.dim];
            Slice { start, size: shape.to_vec() }
        };
        inputs.iter().map(part).collect()
    }
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let first = inputs.first().ok_or("it takes at least one input")?;
        expect_rank(inputs, first.shape.len())?;
        if self.dim >= first.shape.len() {
            return Err(format!("dimension {} is none of its inputs'", self.dim));
        }
        let mut sizes = first.shape.to_vec();
        for input in &inputs[1..] {
            let differs = |&d: &usize| d != self.dim && input.shape[d] != sizes[d];
            if let Some(d) = (0..sizes.len()).find(differs) {
                return Err(format!("but for dimension {} all sizes are equal, but dimension {d} differs", self.dim));
            }
            sizes[self.dim] += input.shape[self.dim];
        }
        Ok(vec![TensorSpec::f32(sizes)])
    }

    fn gradient(&self, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let shapes: Vec<&Shape> = (0..backward.inputs()).map(|input| backward.shape(backward.input(input))).collect();
        let parts = self.parts(&shapes);
        let Some(dy) = backward.upstream() else { return Ok(vec![None; parts.len()]) };
        let slice = |(input, part)| match backward.wants(input) {
            true => backward.apply_one(part, &[dy]).map(Some),
            false => Ok(None),
        };
        parts.into_iter().enumerate().map(slice).collect()
    }

    fn reference(&self, inputs: &[&HostTensor], outputs: &mut [HostTensor], shapes: &Shapes<'_>) {
        for (input, part) in inputs.iter().zip(self.parts(&shapes.inputs)) {
            let (walk, first) = accepted(part.walk(shapes.outputs[0]));
            for (&x, at) in input.f32().iter().zip(walk.steps()) {
                outputs[0].f32_mut()[first + at] = x;
            }
        }
    }

    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        for (input, part) in self.parts(&launch.shapes().inputs).into_iter().enumerate() {
            let (walk, first) = accepted(part.walk(&launch.output(0).shape));
            scatter(launch, input, walk, first);
        }
        Ok(())
    }
}

/// x with its dimensions in another order: dimension d of y is dimension `order[d]` of x.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permute {
    pub order: Vec<usize>,
}

impl Permute {
    fn sizes(&self, x: &Shape) -> Vec<usize> {
        self.order.iter().map(|&d| x[d]).collect()
    }

    fn walk(&self, x: &Shape) -> Result<Walk, String> {
        let strides: Vec<usize> = self.order.iter().map(|&d| x.stride(d)).collect();
        Walk::new(&self.sizes(x), &strides)
    }
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        expect_inputs(inputs, 1)?;
        expect_rank(inputs, self.order.len())?;
        if !(0..self.order.len()).all(|d| self.order.contains(&d)) {
            return Err(format!("{:?} does not name each dimension once", self.order));
        }
        self.walk(&inputs[0].shape)?;
        Ok(vec![TensorSpec::f32(self.sizes(&inputs[0].shape))])
    }

    fn gradient(&self, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let mut order = vec![0; self.order.len()];
        for (to, &from) in self.order.iter().enumerate() {
            order[from] = to;
        }
        Ok(vec![Some(backward.apply_one(Permute { order }, &[dy])?)])
    }

    fn reference(&self, inputs: &[&HostTensor], outputs: &mut [HostTensor], shapes: &Shapes<'_>) {
        let walk = accepted(self.walk(shapes.inputs[0]));
        for (y, at) in outputs[0].f32_mut().iter_mut().zip(walk.steps()) {
            *y = inputs[0].f32()[at];
        }
    }

    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let walk = accepted(self.walk(&launch.input(0).shape));
        gather(launch, walk, 0, 1.0);
        Ok(())
    }
}
