//! Max pooling.

use super::{Geometry, Window, add_at_places, expect_places, largest, plane};
use crate::graph::{Backward, Cost, GraphError, OnnxAttribute, OnnxNode, Op, Value};
use crate::kernel::{Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::expect_inputs;
use crate::tensor::{HostTensor, Shape, Shapes, TensorSpec};

static FORWARD: Shader =
    Shader::new("pool/max_forward", &[read("x"), write("y"), write("argmax").u32().when("argmax")]);
static BACKWARD: Shader = Shader::new("pool/max_backward", &[read("argmax").u32(), read("dy"), write("dx")]);

/// y[n, c, o] = max of x[n, c] over window o; what lies outside of the image is never taken. Input x
/// `[N, C, H, W]`; outputs y and, for the backward pass, where in its plane each maximum lies, as u32.
/// Of equal maxima the first in row-major order counts; NaN is larger than any number, and the last of them counts.
/// Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2d {
    /// Height and width of a window.
    pub kernel: [usize; 2],
    /// Pixels from one window to the next.
    pub stride: [usize; 2],
    /// At most half of the dilated window.
    pub padding: [usize; 2],
    /// Pixels from one element of a window to the next.
    pub dilation: [usize; 2],
    /// Rounds the output's size up, but drops a last window that starts past the image and its left
    /// padding.
    pub ceil_mode: bool,
}

impl MaxPool2d {
    /// A window of (height, width) that does not overlap its neighbours.
    pub fn new(kernel: [usize; 2]) -> Self {
        MaxPool2d { kernel, stride: kernel, padding: [0; 2], dilation: [1; 2], ceil_mode: false }
    }

    /// As [`MaxPool2d::new`] with a window of `kernel` x `kernel`.
    pub fn square(kernel: usize) -> Self {
        MaxPool2d::new([kernel; 2])
    }

    /// Moves by `stride` pixels in both directions; by default by the window's size.
    pub fn stride(mut self, stride: usize) -> Self {
        self.stride = [stride; 2];
        self
    }

    /// With a border of `padding` pixels that are never the largest.
    pub fn padding(mut self, padding: usize) -> Self {
        self.padding = [padding; 2];
        self
    }

    /// With `dilation` - 1 pixels left out between those of a window.
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.dilation = [dilation; 2];
        self
    }

    /// With windows that start in the image and end outside of it.
    pub fn ceil_mode(mut self) -> Self {
        self.ceil_mode = true;
        self
    }

    fn window(&self) -> Window {
        let MaxPool2d { kernel, stride, padding, dilation, ceil_mode } = *self;
        Window { kernel, stride, padding, dilation, ceil_mode }
    }
}

impl Op for MaxPool2d {
    type Geometry = Geometry;

    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        let (shape, geometry) = self.window().infer(inputs[0])?;
        Ok((vec![TensorSpec::f32(shape.clone()), TensorSpec::u32(shape)], geometry))
    }

    fn gradient(&self, _: &Geometry, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let x = backward.shape(backward.input(0)).clone();
        let inputs = [backward.output(1), dy];
        Ok(vec![Some(backward.apply_one(MaxPoolBackward { pool: *self, x }, &inputs)?)])
    }

    fn reference(&self, g: &Geometry, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let mut o = 0;
        for p in 0..g.planes {
            let x = &inputs[0].f32()[plane(p, g.size)];
            for oy in 0..g.out[0] {
                for ox in 0..g.out[1] {
                    let indices = g.rows(oy).flat_map(|row| g.columns(ox).map(move |column| row * g.size[1] + column));
                    if let Some(index) = largest(x, indices) {
                        outputs[0].f32_mut()[o] = x[index];
                        outputs[1].u32_mut()[o] = index as u32;
                    }
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
        let argmax = launch.is_read(1);
        let kernel = g.kernel(&FORWARD).condition("argmax", argmax);
        let mut operands = vec![("x", Operand::input(0)), ("y", Operand::output(0))];
        if argmax {
            operands.push(("argmax", Operand::output(1)));
        }
        launch.linear(kernel, g.outputs(), operands);
        Ok(())
    }

    fn cost(&self, g: &Geometry, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: g.window_elements(), bytes: shapes.bytes() }
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let end = self.window().end_padding(node.input_shape(0), node.output_shape(0));
        let attributes = vec![
            OnnxAttribute::ints("kernel_shape", self.kernel),
            OnnxAttribute::ints("strides", self.stride),
            OnnxAttribute::ints("pads", [self.padding, end].concat()),
            OnnxAttribute::ints("dilations", self.dilation),
        ];
        node.give("MaxPool", node.inputs(), attributes);
        Ok(())
    }
}

/// dx[n, c, i] = sum of dy[n, c, o] over the windows o whose maximum is element i; inputs the places
/// of the maxima and dy, output of the shape `x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaxPoolBackward {
    /// The pooling whose gradient it is.
    pub pool: MaxPool2d,
    /// Shape of x, `[N, C, H, W]`.
    pub x: Shape,
}

impl Op for MaxPoolBackward {
    type Geometry = Geometry;

    fn name(&self) -> &'static str {
        "max_pool2d_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        let x = TensorSpec::f32(self.x.clone());
        let (y, geometry) = self.pool.window().infer(&x)?;
        expect_places(inputs, &y)?;
        Ok((vec![x], geometry))
    }

    fn reference(&self, g: &Geometry, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        add_at_places(g.size, g.out, inputs, &mut outputs[0]);
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, g: &Geometry, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let (kernel, cells) = g.cells(&BACKWARD);
        launch.linear(
            kernel,
            cells,
            [("argmax", Operand::input(0)), ("dy", Operand::input(1)), ("dx", Operand::output(0))],
        );
        Ok(())
    }

    fn cost(&self, _: &Geometry, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.inputs[1].elements() as u64, bytes: shapes.bytes() }
    }
}
