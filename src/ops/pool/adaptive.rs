//! Average pooling to an output of given size; global average pooling is its output of one pixel.

use super::plane;
use crate::graph::{Backward, Cost, GraphError, OnnxAttribute, OnnxNode, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::broadcast::Reduction;
use crate::ops::layout::gather;
use crate::ops::walk::Walk;
use crate::ops::{BroadcastTo, SumTo, expect_inputs, expect_nchw};
use crate::tensor::{ElementType, HostTensor, Shape, Shapes, TensorSpec};
use std::ops::Range;

static FORWARD: Shader = Shader::new("pool/adaptive_forward", &[read("x"), write("y")]);
static BACKWARD: Shader = Shader::new("pool/adaptive_backward", &[read("dy"), write("dx")]);

/// y[n, c, oy, ox] = mean of x[n, c] over rows floor(oy H / OH) .. ceil((oy + 1) H / OH) - 1, columns
/// alike. Input x `[N, C, H, W]`, output `[N, C, OH, OW]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveAvgPool2d {
    /// (height, width).
    pub output_size: [usize; 2],
}

/// The rows (columns) of window `o` of `out`.
pub(super) fn window(o: usize, out: usize, size: usize) -> Range<usize> {
    o * size / out..((o + 1) * size).div_ceil(out)
}

/// What is pooled: planes of `size` to planes of `out`.
#[derive(Clone, Copy, Debug)]
pub struct Planes {
    pub(super) count: usize,
    pub(super) size: [usize; 2],
    pub(super) out: [usize; 2],
}

impl Planes {
    /// Of x `[N, C, H, W]`, with the shape of what it is pooled to.
    pub(super) fn of(x: &TensorSpec, out: [usize; 2]) -> Result<(Shape, Planes), String> {
        let [batch, channels, height, width] = expect_nchw(x)?;
        if x.element != ElementType::F32 || height == 0 || width == 0 {
            return Err("it pools images of f32 with at least one pixel".to_owned());
        }
        if out.contains(&0) {
            return Err("its output has at least one pixel".to_owned());
        }
        Ok(([batch, channels, out[0], out[1]].into(), Planes { count: batch * channels, size: [height, width], out }))
    }

    /// Steps of the loops over a window: it spans at most one element more than its share on each side.
    pub(super) fn window_steps(&self) -> usize {
        let [rows, columns] = [0, 1].map(|axis| self.size[axis].div_ceil(self.out[axis]) + 1);
        rows * (columns + 1)
    }

    /// Steps of the loops over the windows that cover an element.
    pub(super) fn covering_steps(&self) -> usize {
        let [rows, columns] = [0, 1].map(|axis| self.out[axis].div_ceil(self.size[axis]) + 1);
        rows * (columns + 1)
    }

    pub(super) fn kernel(&self, shader: &'static Shader) -> Kernel {
        Kernel::new(shader).constants([
            ("HEIGHT", self.size[0]),
            ("WIDTH", self.size[1]),
            ("OUT_HEIGHT", self.out[0]),
            ("OUT_WIDTH", self.out[1]),
        ])
    }

    /// Share of one element in the mean of its whole plane.
    fn share(&self) -> f32 {
        1.0 / (self.size[0] * self.size[1]) as f32
    }
}

/// Elements of a plane from which on its mean is worth a reduction by many invocations.
const LARGE_PLANE: usize = 1024;

impl Op for AdaptiveAvgPool2d {
    /// The planes, and the reduction that gives the mean of each where they are large.
    type Geometry = (Planes, Option<Reduction>);

    fn name(&self) -> &'static str {
        "adaptive_avg_pool2d"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        let (y, planes) = Planes::of(inputs[0], self.output_size)?;
        let is_reduction = planes.out == [1, 1] && planes.size[0] * planes.size[1] >= LARGE_PLANE;
        let mean = SumTo { shape: y.clone(), factor: planes.share() };
        let mean = is_reduction.then(|| mean.reduction(&inputs[0].shape)).transpose()?;
        Ok((vec![TensorSpec::f32(y)], (planes, mean)))
    }

    fn gradient(&self, _: &Self::Geometry, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let x = backward.shape(backward.input(0)).clone();
        Ok(vec![Some(backward.apply_one(AdaptiveAvgPoolBackward { x }, &[dy])?)])
    }

    fn reference(&self, (planes, _): &Self::Geometry, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let &Planes { count, size, out } = planes;
        let mut o = 0;
        for p in 0..count {
            let x = &inputs[0].f32()[plane(p, size)];
            for oy in 0..out[0] {
                let rows = window(oy, out[0], size[0]);
                for ox in 0..out[1] {
                    let columns = window(ox, out[1], size[1]);
                    let mut sum = 0.0;
                    for row in rows.clone() {
                        for column in columns.clone() {
                            sum += f64::from(x[row * size[1] + column]);
                        }
                    }
                    outputs[0].f32_mut()[o] = (sum / (rows.len() * columns.len()) as f64) as f32;
                    o += 1;
                }
            }
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, (planes, mean): &Self::Geometry, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        if let Some(mean) = mean {
            mean.dispatch(launch);
            return Ok(());
        }
        launch.expect_loop(planes.window_steps())?;
        let kernel = planes.kernel(&FORWARD);
        let operands = [("x", Operand::input(0)), ("y", Operand::output(0))];
        launch.linear(kernel, launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &Self::Geometry, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    /// One window, equal windows, or windows of different sizes as products with a matrix on each side.
    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let (inputs, x) = (node.inputs(), node.input_shape(0));
        let [size, out] = [[x[2], x[3]], self.output_size];
        if out == [1, 1] {
            node.give("GlobalAveragePool", inputs, vec![]);
            return Ok(());
        }
        if size[0].is_multiple_of(out[0]) && size[1].is_multiple_of(out[1]) {
            let window = [size[0] / out[0], size[1] / out[1]];
            let attributes = ["kernel_shape", "strides"].map(|name| OnnxAttribute::ints(name, window));
            node.give("AveragePool", inputs, attributes.into());
            return Ok(());
        }
        let [rows, columns] = [0, 1].map(|axis| {
            let (size, out) = (size[axis], out[axis]);
            let mut means = vec![0.0; out * size];
            for (o, row) in means.chunks_exact_mut(size).enumerate() {
                let window = window(o, out, size);
                let share = 1.0 / window.len() as f32;
                row[window].fill(share);
            }
            node.floats(&format!("constant/means[{out},{size}]"), &[out, size], means)
        });
        let columns = node.step("Transpose", vec![columns], vec![OnnxAttribute::ints("perm", [1, 0])]);
        let narrow = node.step("MatMul", vec![inputs[0].clone(), columns], vec![]);
        node.give("MatMul", vec![rows, narrow], vec![]);
        Ok(())
    }
}

/// dx[n, c, i] = sum of dy[n, c, o] / area of window o, over the windows o that cover element i;
/// input dy, output of the shape `x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdaptiveAvgPoolBackward {
    /// Shape of x, `[N, C, H, W]`.
    pub x: Shape,
}

impl Op for AdaptiveAvgPoolBackward {
    /// The planes, and how the gradient of the mean of a whole plane is repeated.
    type Geometry = (Planes, Option<Walk>);

    fn name(&self) -> &'static str {
        "adaptive_avg_pool2d_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        let [_, _, height, width] = expect_nchw(inputs[0])?;
        let x = TensorSpec::f32(self.x.clone());
        let (y, planes) = Planes::of(&x, [height, width])?;
        let share = BroadcastTo { shape: self.x.clone(), factor: 1.0 };
        let repeated = (planes.out == [1, 1]).then(|| share.walk(&y)).transpose()?;
        match y == inputs[0].shape {
            true => Ok((vec![x], (planes, repeated))),
            false => Err(format!("its gradient belongs to images of shape {}", self.x)),
        }
    }

    fn reference(&self, (planes, _): &Self::Geometry, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let &Planes { count, size, out } = planes;
        let mut o = 0;
        for p in 0..count {
            let mut sums = vec![0.0f64; size[0] * size[1]];
            for oy in 0..out[0] {
                let rows = window(oy, out[0], size[0]);
                for ox in 0..out[1] {
                    let columns = window(ox, out[1], size[1]);
                    let share = f64::from(inputs[0].f32()[o]) / (rows.len() * columns.len()) as f64;
                    for row in rows.clone() {
                        for column in columns.clone() {
                            sums[row * size[1] + column] += share;
                        }
                    }
                    o += 1;
                }
            }
            for (dx, sum) in outputs[0].f32_mut()[plane(p, size)].iter_mut().zip(sums) {
                *dx = sum as f32;
            }
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, (planes, repeated): &Self::Geometry, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        if let Some(walk) = repeated {
            gather(launch, *walk, 0, planes.share());
            return Ok(());
        }
        let kernel = planes.kernel(&BACKWARD);
        let operands = [("dy", Operand::input(0)), ("dx", Operand::output(0))];
        launch.linear(kernel, launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &Self::Geometry, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
