//! The backward pass of batch normalisation.

use super::{BatchNormalize, Layout, check};
use crate::graph::{Cost, Op};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::Activation;
use crate::ops::expect_inputs;
use crate::ops::reduce::channel_lanes;
use crate::tensor::{HostTensor, Shapes, TensorSpec};
use rayon::prelude::*;

static PARTIAL_SUMS: Shader = Shader::new(
    "batch_norm/partial_sums",
    &[
        read("x"),
        read("dy"),
        read("mean"),
        read("variance").when(GATED),
        read("weight").when("affine"),
        read("bias").when("affine"),
        write("part").vec2(),
    ],
);
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
        read("bias").when("shifted"),
        write("dx").wide(),
    ],
);
static INPUT_GRADIENT_RUNNING: Shader = Shader::new(
    "batch_norm/input_gradient_running",
    &[read("dy").wide(), read("variance"), read("weight").when("affine"), write("dx").wide()],
);

/// Condition of kernels that take dy through an activation first.
const GATED: &str = "gated";

/// A kernel that takes dy through `activation`, where there is one.
fn gated(kernel: Kernel, activation: Option<Activation>) -> Kernel {
    match activation {
        None => kernel,
        Some(activation) => {
            activation.on(kernel).condition(GATED, true).condition("from_output", activation.sees_output())
        }
    }
}

/// The gradient of what a batch norm gave, y, of the gradient dy of what was made of that.
fn upstream(activation: Option<Activation>, y: f64, dy: f64) -> f64 {
    match activation {
        None => dy,
        Some(activation) if activation.sees_output() => activation.gradient_at(activation.value(y), dy),
        Some(activation) => activation.gradient_at(y, dy),
    }
}

/// `dweight[c]` = sum of dy * (x - mean) / sqrt(var + eps) and `dbias[c]` = sum of dy; inputs x, dy, mean, var.
///
/// With an activation, dy is the gradient of what that gave of the batch norm's output, and the activation's own backward pass is part of
/// this one: the output is computed anew of x, and need not be kept. Weight and bias follow then, if the batch norm has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormSums {
    /// Added to the variance.
    pub eps: f32,
    /// What was applied to the batch norm's output, if the sums are to go through it.
    pub activation: Option<Activation>,
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
        let layout = check(&[&[inputs[0]], &inputs[2..]].concat(), if inputs.len() == 6 { 4 } else { 2 })?;
        Ok((vec![TensorSpec::f32([layout.channels]); 2], layout))
    }

    fn reference(&self, layout: &Layout, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        for c in 0..layout.channels {
            let mean = f64::from(inputs[2].f32()[c]);
            let scale = 1.0 / (f64::from(inputs[3].f32()[c]) + f64::from(self.eps)).sqrt();
            let x = layout.planes(inputs[0].f32(), c).flatten();
            let dy = layout.planes(inputs[1].f32(), c).flatten();
            let [factor, shift] = [(4, 1.0), (5, 0.0)]
                .map(|(input, absent)| inputs.get(input).map_or(absent, |vector| f64::from(vector.f32()[c])));
            let (mut weight, mut bias) = (0.0, 0.0);
            for (&x, &dy) in x.zip(dy) {
                let normal = (f64::from(x) - mean) * scale;
                let dy = upstream(self.activation, normal * factor + shift, f64::from(dy));
                weight += dy * normal;
                bias += dy;
            }
            outputs[0].f32_mut()[c] = weight as f32;
            outputs[1].f32_mut()[c] = bias as f32;
        }
    }

    fn launch(&self, layout: &Layout, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let lanes = channel_lanes(launch.profile(), layout.channels, layout.count());
        let partial = launch.scratch(2 * layout.channels * lanes);
        let mut names = vec!["x", "dy", "mean"];
        if self.activation.is_some() {
            names.push("variance");
            names.extend(["weight", "bias"].into_iter().take(launch.inputs() - names.len()));
        }
        let kernel = layout.kernel(&PARTIAL_SUMS).constant("LANES", lanes).constant("EPS", self.eps);
        let kernel = gated(kernel, self.activation).condition("affine", names.contains(&"weight"));
        let operands = Operand::inputs(&names).chain([("part", partial)]);
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
/// mean and the two sums of [`BatchNormSums`]; then weight if affine. With an activation, which needs batch statistics, dy is
/// what it is for the sums, and the bias follows the weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormInputGradient {
    /// Whose gradient it is.
    pub norm: BatchNormalize,
    /// What was applied to its output, if the gradient is to go through it.
    pub activation: Option<Activation>,
}

impl BatchNormInputGradient {
    /// Whether there is a bias among the inputs.
    fn has_bias(&self) -> bool {
        self.norm.affine && self.activation.is_some()
    }
}

impl Op for BatchNormInputGradient {
    type Geometry = Layout;

    fn name(&self) -> &'static str {
        "batch_norm_input_gradient"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let BatchNormalize { batch_statistics, affine, .. } = self.norm;
        let count = 2 + 4 * usize::from(batch_statistics) + usize::from(affine) + usize::from(self.has_bias());
        expect_inputs(inputs, count)?;
        if self.activation.is_some() && !batch_statistics {
            return Err("it goes through an activation with batch statistics only".to_owned());
        }
        Ok((vec![inputs[0].clone()], Layout::of(&inputs[0].shape)?))
    }

    fn reference(&self, layout: &Layout, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let count = layout.count() as f64;
        let dy = inputs[0].f32();
        outputs[0].f32_mut().par_chunks_mut(layout.inner).enumerate().for_each(|(plane, dx)| {
            let c = plane % layout.channels;
            let at = |input: usize| f64::from(inputs[input].f32()[c]);
            let scale = 1.0 / (at(1) + f64::from(self.norm.eps)).sqrt();
            let bias = if self.has_bias() { at(inputs.len() - 1) } else { 0.0 };
            let weight = if self.norm.affine { at(inputs.len() - 1 - usize::from(self.has_bias())) } else { 1.0 };
            let first = plane * layout.inner;
            for (i, dx) in dx.iter_mut().enumerate() {
                let mut centred = f64::from(dy[first + i]);
                if self.norm.batch_statistics {
                    let (mean, product, sum) = (at(3), at(4), at(5));
                    let normal = (f64::from(inputs[2].f32()[first + i]) - mean) * scale;
                    centred = upstream(self.activation, normal * weight + bias, centred);
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
        let shader = match self.norm.batch_statistics {
            true => &INPUT_GRADIENT,
            false => &INPUT_GRADIENT_RUNNING,
        };
        let kernel = Kernel::new(shader).constant("EPS", self.norm.eps).condition("affine", self.norm.affine);
        let kernel = gated(kernel, self.activation).condition("shifted", self.has_bias());
        let mut names = vec!["dy", "variance"];
        if self.norm.batch_statistics {
            names.extend(["x", "mean", "dweight", "dbias"]);
        }
        if self.norm.affine {
            names.push("weight");
        }
        if self.has_bias() {
            names.push("bias");
        }
        layout.launch_by_planes(launch, kernel, Operand::inputs(&names).chain([("dx", Operand::output(0))]));
        Ok(())
    }

    fn cost(&self, _: &Layout, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 6 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
