//! The backward pass of batch normalisation.

use super::{BatchNormalize, Layout, check};
use crate::graph::{Cost, Op};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::expect_inputs;
use crate::ops::reduce::channel_lanes;
use crate::tensor::{HostTensor, Shapes, TensorSpec};
use rayon::prelude::*;

static PARTIAL_SUMS: Shader =
    Shader::new("batch_norm/partial_sums", &[read("x"), read("dy"), read("mean"), write("part").vec2()]);
static MERGE_SUMS: Shader =
    Shader::new("batch_norm/merge_sums", &[read("part").vec2(), read("variance"), write("dweight"), write("dbias")]);
static MERGE_TOGETHER: Shader = Shader::new(
    "batch_norm/merge_sums_together",
    &[read("part").vec2(), read("variance"), write("dweight"), write("dbias")],
);
static INPUT_GRADIENT: Shader = Shader::new(
    "batch_norm/input_gradient",
    &[
        read("dy").wide(),
        read("variance"),
        read("x").wide(),
        read("mean"),
        read("dweight"),
        read("dbias"),
        read("weight").when("affine"),
        write("dx").wide(),
    ],
);
static INPUT_GRADIENT_RUNNING: Shader = Shader::new(
    "batch_norm/input_gradient_running",
    &[read("dy").wide(), read("variance"), read("weight").when("affine"), write("dx").wide()],
);

/// `dweight[c]` = sum of dy * (x - mean) / sqrt(var + eps) and `dbias[c]` = sum of dy; inputs x, dy, mean, var.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormSums {
    /// Added to the variance.
    pub eps: f32,
}

impl Op for BatchNormSums {
    type Geometry = Layout;

    fn name(&self) -> &'static str {
        "batch_norm_sums"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let [x, dy, ..] = inputs else { return Err("it takes x, dy, mean and var".to_owned()) };
        if x.shape != dy.shape {
            return Err("x and its gradient have one shape".to_owned());
        }
        let layout = check(&[&[inputs[0]], &inputs[2..]].concat(), 2)?;
        Ok((vec![TensorSpec::f32([layout.channels]); 2], layout))
    }

    fn reference(&self, layout: &Layout, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        for c in 0..layout.channels {
            let mean = f64::from(inputs[2].f32()[c]);
            let scale = 1.0 / (f64::from(inputs[3].f32()[c]) + f64::from(self.eps)).sqrt();
            let x = layout.planes(inputs[0].f32(), c).flatten();
            let dy = layout.planes(inputs[1].f32(), c).flatten();
            let (mut weight, mut bias) = (0.0, 0.0);
            for (&x, &dy) in x.zip(dy) {
                weight += f64::from(dy) * (f64::from(x) - mean) * scale;
                bias += f64::from(dy);
            }
            outputs[0].f32_mut()[c] = weight as f32;
            outputs[1].f32_mut()[c] = bias as f32;
        }
    }

    fn launch(&self, layout: &Layout, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let lanes = channel_lanes(launch.profile(), layout.channels, layout.count());
        let partial = launch.scratch(2 * layout.channels * lanes);
        let kernel = layout.kernel(&PARTIAL_SUMS).constant("LANES", lanes);
        let operands = Operand::inputs(&["x", "dy", "mean"]).chain([("part", partial)]);
        launch.linear(kernel, layout.channels * lanes, operands);
        let operands = [
            ("part", partial),
            ("variance", Operand::input(3)),
            ("dweight", Operand::output(0)),
            ("dbias", Operand::output(1)),
        ];
        let finish = |kernel: Kernel| kernel.constant("EPS", self.eps);
        layout.launch_merge(launch, [&MERGE_SUMS, &MERGE_TOGETHER], lanes, finish, operands);
        Ok(())
    }

    fn cost(&self, _: &Layout, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 4 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

/// dx of [`BatchNormalize`]: weight / sqrt(var + eps) * dy, and with batch statistics less the mean of
/// dy and the normalised x times its mean product with dy. Inputs dy and var; with batch statistics x,
/// mean and the two sums of [`BatchNormSums`]; then weight if affine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormInputGradient(pub BatchNormalize);

impl Op for BatchNormInputGradient {
    type Geometry = Layout;

    fn name(&self) -> &'static str {
        "batch_norm_input_gradient"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let count = 2 + 4 * usize::from(self.0.batch_statistics) + usize::from(self.0.affine);
        expect_inputs(inputs, count)?;
        Ok((vec![inputs[0].clone()], Layout::of(&inputs[0].shape)?))
    }

    fn reference(&self, layout: &Layout, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let count = layout.count() as f64;
        let dy = inputs[0].f32();
        outputs[0].f32_mut().par_chunks_mut(layout.inner).enumerate().for_each(|(plane, dx)| {
            let c = plane % layout.channels;
            let at = |input: usize| f64::from(inputs[input].f32()[c]);
            let scale = 1.0 / (at(1) + f64::from(self.0.eps)).sqrt();
            let weight = if self.0.affine { at(inputs.len() - 1) } else { 1.0 };
            let first = plane * layout.inner;
            for (i, dx) in dx.iter_mut().enumerate() {
                let mut centred = f64::from(dy[first + i]);
                if self.0.batch_statistics {
                    let (mean, product, sum) = (at(3), at(4), at(5));
                    let normal = (f64::from(inputs[2].f32()[first + i]) - mean) * scale;
                    centred -= (sum + normal * product) / count;
                }
                *dx = (weight * scale * centred) as f32;
            }
        });
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, layout: &Layout, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let shader = match self.0.batch_statistics {
            true => &INPUT_GRADIENT,
            false => &INPUT_GRADIENT_RUNNING,
        };
        let kernel = Kernel::new(shader).constant("EPS", self.0.eps).condition("affine", self.0.affine);
        let mut names = vec!["dy", "variance"];
        if self.0.batch_statistics {
            names.extend(["x", "mean", "dweight", "dbias"]);
        }
        if self.0.affine {
            names.push("weight");
        }
        layout.launch_by_planes(launch, kernel, Operand::inputs(&names).chain([("dx", Operand::output(0))]));
        Ok(())
    }

    fn cost(&self, _: &Layout, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 6 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
