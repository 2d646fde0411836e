//! Average pooling.

use super::{Geometry, Window, plane};
use crate::graph::{Backward, Cost, GraphError, OnnxAttribute, OnnxNode, Op, Value};
use crate::kernel::{Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::expect_inputs;
use crate::tensor::{HostTensor, Shape, Shapes, TensorSpec};

static FORWARD: Shader = Shader::new("pool/average_forward", &[read("x"), write("y")]);
static BACKWARD: Shader = Shader::new("pool/average_backward", &[read("dy"), write("dx")]);

/// y[n, c, o] = sum of x[n, c] over the part of window o inside the image / area of window o. Input x
/// `[N, C, H, W]`. Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool2d {
    /// Height and width of a window.
    pub kernel: [usize; 2],
    /// Pixels from one window to the next.
    pub stride: [usize; 2],
    /// At most half of the window.
    pub padding: [usize; 2],
    /// Rounds the output's size up, but drops a last window that starts past the image and its left
    /// padding.
    pub ceil_mode: bool,
    /// Whether a window's area is clipped to the padded image, or to the image itself.
    pub count_include_pad: bool,
}

impl AvgPool2d {
    /// A window of (height, width) that does not overlap its neighbours; padding counts in its area.
    pub fn new(kernel: [usize; 2]) -> Self {
        AvgPool2d { kernel, stride: kernel, padding: [0; 2], ceil_mode: false, count_include_pad: true }
    }

    /// As [`AvgPool2d::new`] with a window of `kernel` x `kernel`.
    pub fn square(kernel: usize) -> Self {
        AvgPool2d::new([kernel; 2])
    }

    /// Moves by `stride` pixels in both directions; by default by the window's size.
    pub fn stride(mut self, stride: usize) -> Self {
        self.stride = [stride; 2];
        self
    }

    /// With `padding` zeros on all sides.
    pub fn padding(mut self, padding: usize) -> Self {
        self.padding = [padding; 2];
        self
    }

    /// With windows that start in the image and end outside of it.
    pub fn ceil_mode(mut self) -> Self {
        self.ceil_mode = true;
        self
    }

    /// The mean is over the pixels of the image alone.
    pub fn without_padding_in_area(mut self) -> Self {
        self.count_include_pad = false;
        self
    }

    fn window(&self) -> Window {
        let AvgPool2d { kernel, stride, padding, ceil_mode, .. } = *self;
        Window { kernel, stride, padding, dilation: [1; 2], ceil_mode }
    }

    /// Rows (columns) of window `o`, clipped as `count_include_pad` says.
    fn length(&self, axis: usize, size: usize, o: usize) -> usize {
        let padding = self.padding[axis];
        // In coordinates of the padded image.
        let (start, end) = (o * self.stride[axis], o * self.stride[axis] + self.kernel[axis]);
        match self.count_include_pad {
            true => end.min(size + 2 * padding) - start,
            false => end.min(size + padding) - start.max(padding),
        }
    }

    fn area(&self, size: [usize; 2], oy: usize, ox: usize) -> f64 {
        (self.length(0, size[0], oy) * self.length(1, size[1], ox)) as f64
    }
}

impl Op for AvgPool2d {
    type Geometry = Geometry;

    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        let (shape, geometry) = self.window().infer(inputs[0])?;
        Ok((vec![TensorSpec::f32(shape)], geometry))
    }

    fn gradient(&self, _: &Geometry, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let x = backward.shape(backward.input(0)).clone();
        Ok(vec![Some(backward.apply_one(AvgPoolBackward { pool: *self, x }, &[dy])?)])
    }

    fn reference(&self, g: &Geometry, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let mut o = 0;
        for p in 0..g.planes {
            let x = &inputs[0].f32()[plane(p, g.size)];
            for oy in 0..g.out[0] {
                for ox in 0..g.out[1] {
                    let mut sum = 0.0;
                    for row in g.rows(oy) {
                        for column in g.columns(ox) {
                            sum += f64::from(x[row * g.size[1] + column]);
                        }
                    }
                    outputs[0].f32_mut()[o] = (sum / self.area(g.size, oy, ox)) as f32;
                    o += 1;
                }
            }
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, g: &Geometry, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.expect_loop(g.window_steps())?;
        let kernel = g.kernel(&FORWARD).condition("count_include_pad", self.count_include_pad);
        launch.linear(kernel, g.outputs(), [("x", Operand::input(0)), ("y", Operand::output(0))]);
        Ok(())
    }

    fn cost(&self, g: &Geometry, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: g.window_elements(), bytes: shapes.bytes() }
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let end = self.window().end_padding(node.input_shape(0), node.output_shape(0));
        if end != self.padding && self.count_include_pad {
            return Err("its last windows reach past the padding, which then counts into the mean".to_owned());
        }
        let attributes = vec![
            OnnxAttribute::ints("kernel_shape", self.kernel),
            OnnxAttribute::ints("strides", self.stride),
            OnnxAttribute::ints("pads", [self.padding, end].concat()),
            OnnxAttribute::int("count_include_pad", self.count_include_pad.into()),
        ];
        node.give("AveragePool", node.inputs(), attributes);
        Ok(())
    }
}

/// dx[n, c, i] = sum of dy[n, c, o] / area of window o, over the windows o that cover element i;
/// input dy, output of the shape `x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvgPoolBackward {
    /// The pooling whose gradient it is.
    pub pool: AvgPool2d,
    /// Shape of x, `[N, C, H, W]`.
    pub x: Shape,
}

impl Op for AvgPoolBackward {
    type Geometry = Geometry;

    fn name(&self) -> &'static str {
        "avg_pool2d_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        let x = TensorSpec::f32(self.x.clone());
        let (y, geometry) = self.pool.window().infer(&x)?;
        match inputs[0].shape == y {
            true => Ok((vec![x], geometry)),
            false => Err(format!("the gradient of the averages has the shape {y}")),
        }
    }

    fn reference(&self, g: &Geometry, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let mut o = 0;
        for p in 0..g.planes {
            let mut sums = vec![0.0f64; g.size[0] * g.size[1]];
            for oy in 0..g.out[0] {
                for ox in 0..g.out[1] {
                    let share = f64::from(inputs[0].f32()[o]) / self.pool.area(g.size, oy, ox);
                    for row in g.rows(oy) {
                        for column in g.columns(ox) {
                            sums[row * g.size[1] + column] += share;
                        }
                    }
                    o += 1;
                }
            }
            for (dx, sum) in outputs[0].f32_mut()[plane(p, g.size)].iter_mut().zip(sums) {
                *dx = sum as f32;
            }
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, g: &Geometry, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let (kernel, cells) = g.cells(&BACKWARD);
        let kernel = kernel.condition("count_include_pad", self.pool.count_include_pad);
        launch.linear(kernel, cells, [("dy", Operand::input(0)), ("dx", Operand::output(0))]);
        Ok(())
    }

    fn cost(&self, g: &Geometry, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: g.window_elements(), bytes: shapes.bytes() }
    }
}
