//! Clipping of all gradients together by their norm (Pascanu et al. 2013), on the device.

use super::GradientTransform;
use super::step::chunks;
use crate::graph::{Cost, Op};
use crate::kernel::{DeviceClass, Kernel, Launch, MAX_LOOP_STEPS, Operand, Shader, Unsupported, read, write};
use crate::ops::expect_inputs;
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static SQUARED_NORM: Shader =
    Shader::new("optimizer/squared_norm", &[read("gradients"), read("parameters"), write("part")]);
static CLIP_SCALE: Shader = Shader::new("optimizer/clip_scale", &[read("square"), write("scale"), write("norm")]);

/// Sum of the squares of a pack's transformed gradients, `[1]`; inputs gradients and parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SquaredNorm(pub GradientTransform);

impl Op for SquaredNorm {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "squared_norm"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        match inputs[0].shape == inputs[1].shape {
            true => Ok((vec![TensorSpec::f32([1])], ())),
            false => Err("gradients and parameters have one shape".to_owned()),
        }
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let pairs = inputs[0].f32().iter().zip(inputs[1].f32());
        let squares = pairs.map(|(&g, &p)| self.0.apply(f64::from(g), f64::from(p)).powi(2));
        outputs[0].f32_mut()[0] = squares.sum::<f64>() as f32;
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let chunks = chunks(launch, launch.input(0).elements());
        squared_norm(launch, self.0, [0, 1], &chunks, Operand::output(0));
        Ok(())
    }

    fn cost(&self, (): &(), shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 2 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

/// Sums the squares of the runs `chunks` of an input, transformed with the parameters of another.
pub(super) fn squared_norm(
    launch: &mut Launch<'_>,
    transform: GradientTransform,
    [gradients, parameters]: [usize; 2],
    chunks: &[(usize, usize)],
    square: Operand,
) {
    let lanes = lanes(launch, chunks);
    let partial = launch.scratch(lanes * chunks.len());
    for (index, &(first, count)) in chunks.iter().enumerate() {
        let kernel =
            transform.kernel(Kernel::new(&SQUARED_NORM)).constant("ELEMENTS", count).constant("FIRST", index * lanes);
        let operands = [
            ("gradients", Operand::input(gradients).slice(first, count)),
            ("parameters", Operand::input(parameters).slice(first, count)),
            ("part", partial),
        ];
        launch.linear(kernel, lanes, operands);
    }
    sum_lanes(launch, partial, lanes * chunks.len(), chunks.len(), square);
}

/// Invocations that go through each of the runs `chunks`.
pub(super) fn lanes(launch: &Launch<'_>, chunks: &[(usize, usize)]) -> usize {
    let largest = chunks.iter().map(|&(_, count)| count).max().unwrap_or(0);
    let enough: usize = match launch.profile().class {
        // Each with some elements, or adding up what they leave takes longer.
        DeviceClass::Gpu => (largest / 16).next_multiple_of(SUM_ROWS).clamp(SUM_ROWS, 65_536),
        DeviceClass::Cpu => 256,
    };
    enough.max(largest.div_ceil(MAX_LOOP_STEPS).next_multiple_of(SUM_ROWS))
}

/// Rows that the sums of each run's invocations are added in, side by side.
const SUM_ROWS: usize = 64;

/// The sum of what the invocations that went through `chunks` runs have left, in two levels: those in rows, then the
/// rows.
pub(super) fn sum_lanes(launch: &mut Launch<'_>, partial: Operand, lanes: usize, chunks: usize, sum: Operand) {
    let rows = SUM_ROWS * chunks;
    let row = lanes / rows;
    let sums = launch.scratch(rows);
    crate::ops::sum_parts(launch, partial, rows, row, 1, row, sums);
    crate::ops::sum_parts(launch, sums, 1, 0, 1, rows, sum);
}

/// min(1, max_norm / (norm + 1e-6)), `[1]`, and the norm itself, `[1]`; inputs the squared norms of
/// all packs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipScale {
    /// Above 0.
    pub max_norm: f32,
}

impl Op for ClipScale {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "clip_scale"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        Ok((vec![TensorSpec::f32([1]); 2], ()))
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let norm = f64::from(inputs[0].f32()[0]).sqrt();
        let scale = f64::from(self.max_norm) / (norm + 1e-6);
        outputs[0].f32_mut()[0] = if scale > 1.0 { 1.0 } else { scale as f32 };
        outputs[1].f32_mut()[0] = norm as f32;
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&CLIP_SCALE).constant("MAX_NORM", self.max_norm);
        let operands = [("square", Operand::input(0)), ("scale", Operand::output(0)), ("norm", Operand::output(1))];
        launch.linear(kernel, 1, operands);
        Ok(())
    }
}
