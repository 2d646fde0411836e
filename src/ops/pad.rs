//! Padding of images by a number, by their mirror image, by their border, or by their other side.

mod card;

pub(crate) use card::CARD;

use super::{Slice, expect_finite, expect_inputs};
use crate::graph::{Backward, Cost, GraphError, OnnxAttribute, OnnxNode, OnnxSize, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{ElementType, HostTensor, Shape, Shapes, TensorSpec};

static FORWARD: Shader = Shader::new("pad/forward", &[read("x"), write("y")]);
static BACKWARD: Shader = Shader::new("pad/backward", &[read("dy"), write("dx")]);

/// What stands around an image.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PadMode {
    /// This number.
    Constant(f32),
    /// Its mirror image, without the border itself: `2 1 0 1 2 1 0`. Less than the image on each side.
    Reflect,
    /// Its border, repeated: `0 0 0 1 2 2 2`.
    Replicate,
    /// Its other side: `1 2 0 1 2 0 1`. At most the image on each side.
    Circular,
}

/// The last two dimensions of x with pixels before and after them; of x `[C, L]` the last one alone may be padded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pad2d {
    /// What stands there.
    pub mode: PadMode,
    /// Pixels to the left, to the right, above and below.
    pub padding: [usize; 4],
}

/// Planes of `size` (height, width) that become planes of `out`, with `before` rows and columns before them.
#[derive(Clone, Copy, Debug)]
pub struct Padded {
    planes: usize,
    size: [usize; 2],
    out: [usize; 2],
    before: [usize; 2],
}

impl PadMode {
    /// Its name in graphs and cases.
    pub fn name(&self) -> &'static str {
        match self {
            PadMode::Constant(_) => "constant",
            PadMode::Reflect => "reflect",
            PadMode::Replicate => "replicate",
            PadMode::Circular => "circular",
        }
    }

    /// Where in `size` rows (columns) row `at` of the padded image comes from; none of a constant.
    fn source(&self, at: usize, size: usize, before: usize) -> Option<usize> {
        let (at, size) = (at as isize - before as isize, size as isize);
        let from = match self {
            PadMode::Constant(_) => at,
            PadMode::Reflect if at.abs() >= size => 2 * (size - 1) - at.abs(),
            PadMode::Reflect => at.abs(),
            PadMode::Replicate => at.clamp(0, size - 1),
            PadMode::Circular => at.rem_euclid(size),
        };
        usize::try_from(from).ok().filter(|&from| from < size as usize)
    }

    /// The largest padding of so many rows (columns), and in words.
    fn most(&self, size: usize) -> (usize, &'static str) {
        match self {
            PadMode::Reflect => (size.saturating_sub(1), "less than what it mirrors"),
            PadMode::Circular => (size, "at most what it repeats"),
            PadMode::Constant(_) | PadMode::Replicate => (usize::MAX, ""),
        }
    }
}

impl Pad2d {
    fn padded(&self, x: &Shape) -> Result<Padded, String> {
        let rank = x.len();
        let (height, width) = match x[..] {
            [.., height, width] => (height, width),
            _ => return Err(format!("it pads the last two dimensions of a tensor, but {x} has {rank}")),
        };
        let [left, right, top, bottom] = self.padding;
        for (size, sides) in [(width, [left, right]), (height, [top, bottom])] {
            if sides == [0, 0] {
                continue;
            }
            let (most, rule) = self.mode.most(size);
            if let Some(side) = sides.into_iter().find(|&side| side > most) {
                return Err(format!("a {} padding of {side} is not {rule}, {size}", self.mode.name()));
            }
            if size == 0 {
                return Err(format!("there is nothing to pad in {x}"));
            }
        }
        let padded = |size: usize, [before, after]: [usize; 2]| size.checked_add(before)?.checked_add(after);
        let out = [padded(height, [top, bottom]), padded(width, [left, right])];
        let [Some(out_height), Some(out_width)] = out else { return Err("its padding passes all bounds".to_owned()) };
        Ok(Padded {
            planes: x[..rank - 2].iter().product(),
            size: [height, width],
            out: [out_height, out_width],
            before: [top, left],
        })
    }
}

impl Padded {
    fn kernel(&self, shader: &'static Shader, mode: PadMode) -> Kernel {
        Kernel::new(shader)
            .constants([
                ("HEIGHT", self.size[0]),
                ("WIDTH", self.size[1]),
                ("OUT_HEIGHT", self.out[0]),
                ("OUT_WIDTH", self.out[1]),
                ("TOP", self.before[0]),
                ("LEFT", self.before[1]),
            ])
            .condition(mode.name(), true)
    }

    /// Elements of the padded images, each with where it comes from.
    fn sources(self, mode: PadMode) -> impl Iterator<Item = Option<usize>> {
        let [height, width] = self.size;
        (0..self.planes * self.out[0] * self.out[1]).map(move |o| {
            let [plane, row, column] =
                [o / (self.out[0] * self.out[1]), o / self.out[1] % self.out[0], o % self.out[1]];
            let row = mode.source(row, height, self.before[0])?;
            let column = mode.source(column, width, self.before[1])?;
            Some((plane * height + row) * width + column)
        })
    }

    /// Rows (columns) of the padded image that come from one of x, at most: those of the border where it is repeated.
    fn repeats(&self, mode: PadMode) -> usize {
        match mode {
            PadMode::Constant(_) => 1,
            PadMode::Reflect | PadMode::Circular => 9,
            PadMode::Replicate => {
                let most = |axis: usize| 1 + self.out[axis] - self.size[axis];
                most(0) * most(1)
            }
        }
    }
}

impl Op for Pad2d {
    type Geometry = Padded;

    fn name(&self) -> &'static str {
        "pad"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Padded), String> {
        expect_inputs(inputs, 1)?;
        if inputs[0].element != ElementType::F32 {
            return Err("it takes a tensor of f32".to_owned());
        }
        if let PadMode::Constant(value) = self.mode {
            expect_finite("value", value)?;
        }
        let padded = self.padded(&inputs[0].shape)?;
        let mut shape = inputs[0].shape.to_vec();
        let rank = shape.len();
        shape[rank - 2..].copy_from_slice(&padded.out);
        Ok((vec![TensorSpec::f32(shape)], padded))
    }

    fn gradient(&self, padded: &Padded, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let x = backward.shape(backward.input(0)).clone();
        let dx = match self.mode {
            PadMode::Constant(_) => {
                let mut start = vec![0; x.len()];
                start[x.len() - 2..].copy_from_slice(&padded.before);
                backward.apply_one(Slice { start, size: x.to_vec() }, &[dy])?
            }
            _ => backward.apply_one(PadBackward { pad: *self, x }, &[dy])?,
        };
        Ok(vec![Some(dx)])
    }

    fn reference(&self, padded: &Padded, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let outside = if let PadMode::Constant(value) = self.mode { value } else { 0.0 };
        for (y, source) in outputs[0].f32_mut().iter_mut().zip(padded.sources(self.mode)) {
            *y = source.map_or(outside, |source| inputs[0].f32()[source]);
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, padded: &Padded, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let mut kernel = padded.kernel(&FORWARD, self.mode);
        if let PadMode::Constant(value) = self.mode {
            kernel = kernel.constant("VALUE", value);
        }
        let operands = [("x", Operand::input(0)), ("y", Operand::output(0))];
        launch.linear(kernel, launch.output(0).elements(), operands);
        Ok(())
    }

    /// The operator of that name; what is circular, which ONNX has since set 19, as a concatenation.
    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let (sizes, rank) = (node.input_sizes(0)?, node.input_shape(0).len());
        let [left, right, top, bottom] = self.padding;
        let pads = |before: [usize; 2], after: [usize; 2]| -> Vec<i64> {
            let zeros = vec![0; rank - 2];
            [&zeros[..], &before, &zeros, &after].concat().into_iter().map(|pad| pad as i64).collect()
        };
        let mut inputs = node.inputs();
        let mode = match self.mode {
            PadMode::Constant(_) => 0,
            PadMode::Reflect => 1,
            PadMode::Replicate => 2,
            PadMode::Circular => {
                return self.onnx_circular(node, &sizes);
            }
        };
        inputs.push(node.ints(pads([top, left], [bottom, right])));
        if let PadMode::Constant(value) = self.mode {
            inputs.push(node.scalar(value));
        }
        node.give("Pad", inputs, vec![OnnxAttribute::word("mode", ["constant", "reflect", "edge"][mode])]);
        Ok(())
    }
}

impl Pad2d {
    fn onnx_circular(&self, node: &mut OnnxNode<'_, '_>, sizes: &[OnnxSize]) -> Result<(), String> {
        let rank = sizes.len();
        let [left, right, top, bottom] = self.padding;
        let mut value = node.inputs()[0].clone();
        for (axis, before, after) in [(rank - 2, top, bottom), (rank - 1, left, right)] {
            let OnnxSize::Fixed(size) = sizes[axis] else { return Err("it pads the batch".to_owned()) };
            let mut part = |from: usize, to: usize| {
                let ends = [from, to, axis].map(|number| node.ints([number as i64]));
                node.step("Slice", [vec![value.clone()], ends.to_vec()].concat(), vec![])
            };
            let mut parts = Vec::new();
            if before > 0 {
                parts.push(part(size - before, size));
            }
            parts.push(value.clone());
            if after > 0 {
                parts.push(part(0, after));
            }
            value = node.step("Concat", parts, vec![OnnxAttribute::int("axis", axis)]);
        }
        node.give("Identity", vec![value], vec![]);
        Ok(())
    }
}

/// `dx[i]` = sum of `dy[o]` over the elements o of the padded tensor that come from i; input dy, output of the shape `x`.
#[derive(Clone, Debug, PartialEq)]
pub struct PadBackward {
    /// The padding whose gradient it is.
    pub pad: Pad2d,
    /// Shape of x.
    pub x: Shape,
}

impl Op for PadBackward {
    type Geometry = Padded;

    fn name(&self) -> &'static str {
        "pad_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Padded), String> {
        expect_inputs(inputs, 1)?;
        let x = TensorSpec::f32(self.x.clone());
        let (y, padded) = self.pad.infer(&[&x])?;
        match y[0] == *inputs[0] {
            true => Ok((vec![x], padded)),
            false => Err(format!("its gradient has the shape {}", y[0].shape)),
        }
    }

    fn reference(&self, padded: &Padded, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let mut sums = vec![0.0f64; self.x.elements()];
        for (&dy, source) in inputs[0].f32().iter().zip(padded.sources(self.pad.mode)) {
            if let Some(source) = source {
                sums[source] += f64::from(dy);
            }
        }
        for (dx, sum) in outputs[0].f32_mut().iter_mut().zip(sums) {
            *dx = sum as f32;
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, padded: &Padded, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.expect_loop(padded.repeats(self.pad.mode))?;
        let kernel = padded.kernel(&BACKWARD, self.pad.mode);
        launch.linear(kernel, launch.output(0).elements(), [("dy", Operand::input(0)), ("dx", Operand::output(0))]);
        Ok(())
    }

    fn cost(&self, _: &Padded, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
