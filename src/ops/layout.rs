//! Ops that move elements: slices, zero padding, concatenation and transposition.

mod card;

pub(crate) use card::CARD;

use super::elementwise::FILL;
use super::expect_inputs;
use super::walk::{Walk, row_major};
use crate::graph::{Backward, GraphError, OnnxAttribute, OnnxNode, OnnxSize, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, WIDE, read, write};
use crate::tensor::{ElementType, HostTensor, Shape, TensorSpec};

static GATHER: Shader = Shader::new("layout/gather", &[read("x").wide_unless("repeats"), write("y").wide()]);
static SCATTER: Shader = Shader::new("layout/scatter", &[read("x"), write("y")]);

/// A box inside a tensor: the walk over it, and its first element.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    walk: Walk,
    first: usize,
}

/// Output 0 = `factor` * input 0, element by element along `walk`, from element `offset` on.
pub(super) fn gather(launch: &mut Launch<'_>, walk: Walk, offset: usize, factor: f32) {
    let count = launch.output(0).elements();
    let by_four = walk.by_four(offset).filter(|_| launch.width(count) == 4);
    let (walk, is_wide) = (by_four.unwrap_or(walk), by_four.is_some());
    let by = |count: usize| if is_wide { count / 4 } else { count };
    let offset = if walk.repeats() { offset } else { by(offset) };
    let kernel = Kernel::new(&GATHER)
        .constants([("SIZES", walk.sizes), ("STRIDES", walk.strides)])
        .constant("OFFSET", offset)
        .constant("FACTOR", factor)
        .conditions([(WIDE, is_wide), ("repeats", walk.repeats())]);
    let count = by(count);
    launch.linear(kernel, count, [("x", Operand::input(0)), ("y", Operand::output(0))]);
}

/// Writes an input into output 0 at its place there.
fn scatter(launch: &mut Launch<'_>, input: usize, Place { walk, first }: &Place) {
    let kernel =
        Kernel::new(&SCATTER).constants([("SIZES", walk.sizes), ("STRIDES", walk.strides)]).constant("OFFSET", *first);
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
    /// First element, one number for each dimension.
    pub start: Vec<usize>,
    /// Number of elements, one number for each dimension.
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

    /// The box in a tensor of shape `whole`.
    fn place(&self, whole: &Shape) -> Result<Place, String> {
        let strides = row_major(whole);
        let first = self.start.iter().zip(&strides).map(|(start, stride)| start * stride).sum();
        Ok(Place { walk: Walk::new(&self.size, &strides)?, first })
    }
}

impl Op for Slice {
    type Geometry = Place;

    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        expect_rank(inputs, self.start.len())?;
        expect_rank(inputs, self.size.len())?;
        for ((&start, &size), &whole) in self.start.iter().zip(&self.size).zip(inputs[0].shape.iter()) {
            if size == 0 || start.checked_add(size).is_none_or(|end| end > whole) {
                return Err(format!("{size} elements from {start} on are no part of a dimension of {whole}"));
            }
        }
        Ok((vec![TensorSpec::f32(self.size.clone())], self.place(&inputs[0].shape)?))
    }

    fn gradient(&self, _: &Place, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let whole = backward.shape(backward.input(0)).to_vec();
        let after = (0..whole.len()).map(|d| whole[d] - self.start[d] - self.size[d]).collect();
        Ok(vec![Some(backward.apply_one(ZeroPad { before: self.start.clone(), after }, &[dy])?)])
    }

    fn reference(&self, place: &Place, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        for (y, at) in outputs[0].f32_mut().iter_mut().zip(place.walk.steps()) {
            *y = inputs[0].f32()[place.first + at];
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, place: &Place, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        gather(launch, place.walk, place.first, 1.0);
        Ok(())
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let (sizes, whole) = (node.input_sizes(0)?, node.input_shape(0));
        let dims: Vec<usize> = (0..whole.len()).filter(|&dim| whole[dim] != self.size[dim]).collect();
        if dims.iter().any(|&dim| matches!(sizes[dim], OnnxSize::Batch(_))) {
            return Err("it takes some of the batch's images".to_owned());
        }
        if dims.is_empty() {
            node.give("Identity", node.inputs(), vec![]);
            return Ok(());
        }
        let mut list = |value: &dyn Fn(usize) -> usize| node.ints(dims.iter().map(|&dim| value(dim) as i64));
        let starts = list(&|dim| self.start[dim]);
        let ends = list(&|dim| self.start[dim] + self.size[dim]);
        let axes = list(&|dim| dim);
        node.give("Slice", [node.inputs(), vec![starts, ends, axes]].concat(), vec![]);
        Ok(())
    }
}

/// x with `before[d]` zeros before and `after[d]` zeros after it in each dimension d.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZeroPad {
    /// One number for each dimension.
    pub before: Vec<usize>,
    /// One number for each dimension.
    pub after: Vec<usize>,
}

impl ZeroPad {
    /// Zeros around images `[N, C, H, W]`: left, right, top, bottom.
    pub fn around_images([left, right, top, bottom]: [usize; 4]) -> Self {
        ZeroPad { before: vec![0, 0, top, left], after: vec![0, 0, bottom, right] }
    }

    /// Where x lies in the output.
    fn inner(&self, x: &Shape) -> Slice {
        Slice { start: self.before.clone(), size: x.to_vec() }
    }
}

impl Op for ZeroPad {
    type Geometry = Place;

    fn name(&self) -> &'static str {
        "zero_pad"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        expect_rank(inputs, self.before.len())?;
        expect_rank(inputs, self.after.len())?;
        let padded = |d: usize| inputs[0].shape[d].checked_add(self.before[d])?.checked_add(self.after[d]);
        let sizes: Option<Vec<usize>> = (0..self.before.len()).map(padded).collect();
        let shape = Shape::from(sizes.ok_or("its padding passes all bounds")?);
        let place = self.inner(&inputs[0].shape).place(&shape)?;
        Ok((vec![TensorSpec::f32(shape)], place))
    }

    fn gradient(&self, _: &Place, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let inner = self.inner(backward.shape(backward.input(0)));
        Ok(vec![Some(backward.apply_one(inner, &[dy])?)])
    }

    fn reference(&self, place: &Place, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        for (&x, at) in inputs[0].f32().iter().zip(place.walk.steps()) {
            outputs[0].f32_mut()[place.first + at] = x;
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, place: &Place, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&FILL).constant("VALUE", 0.0);
        launch.linear(kernel, launch.output(0).elements(), [("y", Operand::output(0))]);
        scatter(launch, 0, place);
        Ok(())
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let pads = node.ints(self.before.iter().chain(&self.after).map(|&zeros| zeros as i64));
        node.give("Pad", [node.inputs(), vec![pads]].concat(), vec![]);
        Ok(())
    }
}

/// The inputs one after another along dimension `dim`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concat {
    /// From 0; all other dimensions of the inputs are equal.
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
    type Geometry = Vec<Place>;

    fn name(&self) -> &'static str {
        "concat"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
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
        let (shapes, y): (Vec<&Shape>, Shape) = (inputs.iter().map(|input| &input.shape).collect(), sizes.into());
        let places = self.parts(&shapes).iter().map(|part| part.place(&y)).collect::<Result<_, _>>()?;
        Ok((vec![TensorSpec::f32(y)], places))
    }

    fn gradient(&self, _: &Vec<Place>, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let shapes: Vec<&Shape> = (0..backward.inputs()).map(|input| backward.shape(backward.input(input))).collect();
        let parts = self.parts(&shapes);
        let Some(dy) = backward.upstream() else { return Ok(vec![None; parts.len()]) };
        let slice = |(input, part)| match backward.wants(input) {
            true => backward.apply_one(part, &[dy]).map(Some),
            false => Ok(None),
        };
        parts.into_iter().enumerate().map(slice).collect()
    }

    fn reference(&self, places: &Vec<Place>, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        for (input, Place { walk, first }) in inputs.iter().zip(places) {
            for (&x, at) in input.f32().iter().zip(walk.steps()) {
                outputs[0].f32_mut()[first + at] = x;
            }
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, places: &Vec<Place>, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        for (input, place) in places.iter().enumerate() {
            scatter(launch, input, place);
        }
        Ok(())
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        node.give("Concat", node.inputs(), vec![OnnxAttribute::int("axis", self.dim)]);
        Ok(())
    }
}

/// x with its dimensions in another order: dimension d of y is dimension `order[d]` of x.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permute {
    /// Each dimension of x once.
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
    type Geometry = Walk;

    fn name(&self) -> &'static str {
        "permute"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        expect_rank(inputs, self.order.len())?;
        if !(0..self.order.len()).all(|d| self.order.contains(&d)) {
            return Err(format!("{:?} does not name each dimension once", self.order));
        }
        Ok((vec![TensorSpec::f32(self.sizes(&inputs[0].shape))], self.walk(&inputs[0].shape)?))
    }

    fn gradient(&self, _: &Walk, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let mut order = vec![0; self.order.len()];
        for (to, &from) in self.order.iter().enumerate() {
            order[from] = to;
        }
        Ok(vec![Some(backward.apply_one(Permute { order }, &[dy])?)])
    }

    fn reference(&self, walk: &Walk, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        for (y, at) in outputs[0].f32_mut().iter_mut().zip(walk.steps()) {
            *y = inputs[0].f32()[at];
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, &walk: &Walk, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        gather(launch, walk, 0, 1.0);
        Ok(())
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        node.give("Transpose", node.inputs(), vec![OnnxAttribute::ints("perm", self.order.iter().copied())]);
        Ok(())
    }
}
