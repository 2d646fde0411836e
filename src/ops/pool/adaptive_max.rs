//! Max pooling to an output of given size.

use super::adaptive::{Planes, window};
use super::{add_at_places, expect_places, largest, plane};
use crate::graph::{Backward, Cost, GraphError, OnnxAttribute, OnnxNode, Op, Value};
use crate::kernel::{Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::card::{Card, Case, Chapter, Entry, FOLDING, INFINITY, NAN, NO_GRADIENT, set};
use crate::ops::expect_inputs;
use crate::tensor::{HostTensor, Shape, Shapes, TensorSpec};

static FORWARD: Shader =
    Shader::new("pool/adaptive_max_forward", &[read("x"), write("y"), write("argmax").u32().when("argmax")]);
static BACKWARD: Shader = Shader::new("pool/adaptive_max_backward", &[read("argmax").u32(), read("dy"), write("dx")]);

/// y[n, c, oy, ox] = max of x[n, c] over rows floor(oy H / OH) .. ceil((oy + 1) H / OH) - 1, columns alike. Input x
/// `[N, C, H, W]`; outputs y `[N, C, OH, OW]` and, for the backward pass, where in its plane each maximum lies, as u32.
/// Of equal maxima the first in row-major order counts; NaN is larger than any number, and the last of them counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveMaxPool2d {
    /// (height, width).
    pub output_size: [usize; 2],
}

impl Op for AdaptiveMaxPool2d {
    type Geometry = Planes;

    fn name(&self) -> &'static str {
        "adaptive_max_pool2d"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Planes), String> {
        expect_inputs(inputs, 1)?;
        let (y, planes) = Planes::of(inputs[0], self.output_size)?;
        Ok((vec![TensorSpec::f32(y.clone()), TensorSpec::u32(y)], planes))
    }

    fn gradient(&self, _: &Planes, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let x = backward.shape(backward.input(0)).clone();
        let inputs = [backward.output(1), dy];
        Ok(vec![Some(backward.apply_one(AdaptiveMaxPoolBackward { x }, &inputs)?)])
    }

    fn reference(&self, planes: &Planes, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let &Planes { count, size, out } = planes;
        let mut o = 0;
        for p in 0..count {
            let x = &inputs[0].f32()[plane(p, size)];
            for oy in 0..out[0] {
                for ox in 0..out[1] {
                    let columns = window(ox, out[1], size[1]);
                    let rows = window(oy, out[0], size[0]);
                    let indices = rows.flat_map(|row| columns.clone().map(move |column| row * size[1] + column));
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

    fn launch(&self, planes: &Planes, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.expect_loop(planes.window_steps())?;
        let argmax = launch.is_read(1).then(|| ("argmax", Operand::output(1)));
        let kernel = planes.kernel(&FORWARD).condition("argmax", argmax.is_some());
        let operands = [("x", Operand::input(0)), ("y", Operand::output(0))];
        launch.linear(kernel, launch.output(0).elements(), operands.into_iter().chain(argmax));
        Ok(())
    }

    fn cost(&self, _: &Planes, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    /// One window, or equal windows: ONNX has no others.
    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let (inputs, x, out) = (node.inputs(), node.input_shape(0), self.output_size);
        if out == [1, 1] {
            node.give("GlobalMaxPool", inputs, vec![]);
            return Ok(());
        }
        if !(x[2].is_multiple_of(out[0]) && x[3].is_multiple_of(out[1])) {
            return Err(format!("its windows over {}x{} pixels for {}x{} differ in size", x[2], x[3], out[0], out[1]));
        }
        let window = [x[2] / out[0], x[3] / out[1]];
        let attributes = ["kernel_shape", "strides"].map(|name| OnnxAttribute::ints(name, window));
        node.give("MaxPool", inputs, attributes.into());
        Ok(())
    }
}

/// dx[n, c, i] = sum of dy[n, c, o] over the windows o whose maximum is element i; inputs the places of the maxima and dy,
/// output of the shape `x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdaptiveMaxPoolBackward {
    /// Shape of x, `[N, C, H, W]`.
    pub x: Shape,
}

impl Op for AdaptiveMaxPoolBackward {
    type Geometry = Planes;

    fn name(&self) -> &'static str {
        "adaptive_max_pool2d_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Planes), String> {
        expect_inputs(inputs, 2)?;
        let x = TensorSpec::f32(self.x.clone());
        let out = inputs[0].shape.nchw().map_or([1, 1], |[_, _, height, width]| [height, width]);
        let (y, planes) = Planes::of(&x, out)?;
        expect_places(inputs, &y)?;
        Ok((vec![x], planes))
    }

    fn reference(&self, planes: &Planes, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        add_at_places(planes.size, planes.out, inputs, &mut outputs[0]);
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, planes: &Planes, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.expect_loop(planes.covering_steps())?;
        let operands = [("argmax", Operand::input(0)), ("dy", Operand::input(1)), ("dx", Operand::output(0))];
        launch.linear(planes.kernel(&BACKWARD), launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &Planes, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.inputs[1].elements() as u64, bytes: shapes.bytes() }
    }
}

pub(crate) static CARD: Card = Card::new(
    Chapter::Pooling,
    &[
        Entry {
            name: "adaptive_max_pool2d",
            computes: "maximum over rows floor(o H / OH) .. ceil((o + 1) H / OH) - 1, columns alike; of equal maxima the first in row-major order",
            shapes: "x [N, C, H, W]; y [N, C, OH, OW] as asked for; places of the maxima as u32",
            gradient: "adaptive_max_pool2d_backward",
            shaders: &["pool/adaptive_max_forward"],
            flops: "elements of x",
        },
        Entry {
            name: "adaptive_max_pool2d_backward",
            computes: "dx[i] = sum of dy[o] over the windows o whose maximum is element i",
            shapes: "places and dy as y; dx as x",
            gradient: NO_GRADIENT,
            shaders: &["pool/adaptive_max_backward"],
            flops: "elements of dy",
        },
    ],
)
.cases(cases)
.slopes(|| {
    // Values more than two steps apart, so that no maximum changes within a difference.
    vec![case([2, 3], &[2, 1, 5, 7], "").prepare(|tensors| {
        if let Some(x) = tensors.get_mut("x0") {
            x.f32_mut().iter_mut().enumerate().for_each(|(index, x)| *x = (index * 37 % 70) as f32 * 0.05);
        }
    })]
})
.conformance(&[("adaptive_max_pool2d", |given| {
    let output_size = given.attributes.pair("output_size", None)?;
    given.apply(AdaptiveMaxPool2d { output_size }, &["in.x"])
})]);

fn case(output_size: [usize; 2], x: &[usize], what: &str) -> Case {
    let what = format!("x {x:?}{what} to {output_size:?}");
    Case::differentiated("adaptive_max_pool2d", what, vec![x.to_vec()], move |graph, x| {
        graph.apply_one(AdaptiveMaxPool2d { output_size }, x)
    })
}

fn cases() -> Vec<Case> {
    let of_size: [(&[usize], [usize; 2]); 6] = [
        (&[2, 3, 13, 9], [1, 1]),
        (&[2, 2, 13, 17], [6, 6]),
        (&[1, 3, 2, 2], [7, 7]),
        (&[1, 2, 1, 1], [1, 1]),
        (&[1, 2, 55, 31], [7, 3]),
        (&FOLDING, [2047, 1025]),
    ];
    let mut cases: Vec<Case> = of_size.into_iter().map(|(x, size)| case(size, x, "")).collect();
    let x = [2, 3, 13, 11];
    cases.push(case([5, 4], &x, " of equal maxima").prepare(|tensors| {
        if let Some(x) = tensors.get_mut("x0") {
            x.f32_mut().iter_mut().for_each(|value| *value = value.round());
        }
    }));
    cases.push(case([5, 4], &x, " with NaN and infinities").prepare(|tensors| {
        set(tensors, "x0", &[(0, NAN), (13, -NAN), (14, NAN), (40, INFINITY), (55, -INFINITY), (142, NAN), (857, NAN)]);
    }));
    cases.push(case([3, 3], &x, " with -infinity in all but two").prepare(|tensors| {
        if let Some(x) = tensors.get_mut("x0") {
            x.f32_mut().fill(-INFINITY);
        }
        set(tensors, "x0", &[(70, NAN), (200, -f32::MAX)]);
    }));
    cases
}
