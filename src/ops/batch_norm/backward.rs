//! The backward pass of batch normalisation.

use super::{Layout, check};
use crate::graph::{Cost, Op};
use crate::kernel::{Binding, Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::Activation;
use crate::ops::expect_inputs;
use crate::ops::reduce::channel_lanes;
use crate::tensor::{HostTensor, Shapes, TensorSpec};
use rayon::prelude::*;

static PARTIAL_SUMS: Shader = Shader::new(
    "batch_norm/partial_sums",
    &[
        read("x").wide(),
        read("dy").wide(),
        read("mean"),
        read("variance").when(GATED),
        read("weight").when("affine"),
        read("bias").when("affine"),
        write("part").vec2(),
    ],
);
static MERGE_SUMS: Shader = Shader::new("batch_norm/merge_sums", &MERGED);
static MERGE_TOGETHER: Shader = Shader::new("batch_norm/merge_sums_together", &MERGED);
const MERGED: [Binding; 8] = [
    read("part").vec2(),
    read("variance"),
    read("mean").when(TABLED),
    read("weight").when("affine"),
    read("bias").when("affine"),
    write("dweight"),
    write("dbias"),
    write("coefficients").when(TABLED),
];
static INPUT_GRADIENT: Shader = Shader::new(
    "batch_norm/input_gradient",
    &[read("dy").wide(), read("x").wide(), read("coefficients"), write("dx").wide()],
);
static INPUT_GRADIENT_RUNNING: Shader = Shader::new(
    "batch_norm/input_gradient_running",
    &[read("dy").wide(), read("variance"), read("weight").when("affine"), write("dx").wide()],
);

/// Numbers of each channel in the coefficients of [`BatchNormSums`].
const COEFFICIENTS: usize = 6;

/// Condition of kernels that write the coefficients.
const TABLED: &str = "tabled";

/// Condition of kernels that take dy through an activation first.
const GATED: &str = "gated";

/// A kernel that takes dy through `activation`, where there is one.
fn through(kernel: Kernel, activation: Option<Activation>) -> Kernel {
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

/// `dweight[c]` = sum of dy * (x - mean) / sqrt(var + eps), `dbias[c]` = sum of dy, and `coefficients[c]`, `[C, 6]`: all that
/// [`BatchNormInputGradient`] has to know of a channel. Inputs x, dy, mean, var, and weight and bias or neither.
///
/// With an activation, dy is the gradient of what that gave of the batch norm's output, and the activation's own backward
/// pass is part of this one: the output is computed anew of x, and need not be kept.
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
        let sums = TensorSpec::f32([layout.channels]);
        Ok((vec![sums.clone(), sums, TensorSpec::f32([layout.channels, COEFFICIENTS])], layout))
    }

    fn reference(&self, layout: &Layout, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        for c in 0..layout.channels {
            let at = |input: usize, absent: f32| inputs.get(input).map_or(absent, |vector| vector.f32()[c]);
            let [mean, variance, weight, bias] = [at(2, 0.0), at(3, 0.0), at(4, 1.0), at(5, 0.0)];
            let deviation = (f64::from(variance) + f64::from(self.eps)).sqrt();
            let x = layout.planes(inputs[0].f32(), c).flatten();
            let dy = layout.planes(inputs[1].f32(), c).flatten();
            let (mut dweight, mut dbias) = (0.0, 0.0);
            for (&x, &dy) in x.zip(dy) {
                let normal = (f64::from(x) - f64::from(mean)) / deviation;
                let dy = upstream(self.activation, normal * f64::from(weight) + f64::from(bias), f64::from(dy));
                dweight += dy * normal;
                dbias += dy;
            }
            let (dweight, dbias) = (dweight as f32, dbias as f32);
            outputs[0].f32_mut()[c] = dweight;
            outputs[1].f32_mut()[c] = dbias;
            let coefficients: [f32; COEFFICIENTS] = [mean, deviation as f32, weight, bias, dweight, dbias];
            outputs[2].f32_mut()[COEFFICIENTS * c..][..COEFFICIENTS].copy_from_slice(&coefficients);
        }
    }

    fn launch(&self, layout: &Layout, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let run = launch.width(layout.inner);
        let lanes = channel_lanes(launch.profile(), layout.channels, layout.count() / run);
        let partial = launch.scratch(2 * layout.channels * lanes);
        let (tabled, gated) = (launch.is_read(2), self.activation.is_some());
        let vectors = |wanted: &[(&'static str, usize, bool)]| {
            let wanted = wanted.iter().filter(|(_, input, wanted)| *wanted && *input < launch.inputs());
            wanted.map(|&(name, input, _)| (name, Operand::input(input))).collect::<Vec<_>>()
        };
        let of_parts = vectors(&[
            ("x", 0, true),
            ("dy", 1, true),
            ("mean", 2, true),
            ("variance", 3, gated),
            ("weight", 4, gated),
            ("bias", 5, gated),
        ]);
        let of_merge =
            vectors(&[("variance", 3, true), ("mean", 2, tabled), ("weight", 4, tabled), ("bias", 5, tabled)]);
        let affine = launch.inputs() == 6;
        let kernel = layout.kernel(&PARTIAL_SUMS, run).constant("LANES", lanes).constant("EPS", self.eps);
        let kernel = through(kernel, self.activation).condition("affine", affine && gated);
        launch.linear(kernel, layout.channels * lanes, of_parts.into_iter().chain([("part", partial)]));
        let sums = [("part", partial), ("dweight", Operand::output(0)), ("dbias", Operand::output(1))];
        let table = tabled.then_some(("coefficients", Operand::output(2)));
        let finish = |kernel: Kernel| {
            let kernel = kernel.constant("EPS", self.eps).condition(TABLED, tabled);
            kernel.condition("affine", affine && tabled)
        };
        let operands = sums.into_iter().chain(of_merge).chain(table);
        layout.launch_merge(launch, [&MERGE_SUMS, &MERGE_TOGETHER], lanes, finish, operands);
        Ok(())
    }

    fn cost(&self, _: &Layout, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 4 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

/// dx of [`BatchNormalize`](super::BatchNormalize) with batch statistics: weight / sqrt(var + eps) * (dy less its mean and
/// the normalised x times its mean product with dy). Inputs dy, x and the coefficients of [`BatchNormSums`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormInputGradient {
    /// What was applied to the batch norm's output, if dy is the gradient of what that gave.
    pub activation: Option<Activation>,
}

impl Op for BatchNormInputGradient {
    type Geometry = Layout;

    fn name(&self) -> &'static str {
        "batch_norm_input_gradient"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 3)?;
        let layout = Layout::of(&inputs[0].shape)?;
        match inputs[1].shape == inputs[0].shape && inputs[2].shape[..] == [layout.channels, COEFFICIENTS] {
            true => Ok((vec![inputs[0].clone()], layout)),
            false => Err(format!("x is as dy, and its coefficients [{}, {COEFFICIENTS}]", layout.channels)),
        }
    }

    fn reference(&self, layout: &Layout, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let count = layout.count() as f64;
        let [dy, x, coefficients] = [0, 1, 2].map(|input| inputs[input].f32());
        outputs[0].f32_mut().par_chunks_mut(layout.inner).enumerate().for_each(|(plane, dx)| {
            let own = &coefficients[plane % layout.channels * COEFFICIENTS..];
            let [mean, deviation, weight, bias, product, sum] = [0, 1, 2, 3, 4, 5].map(|at| f64::from(own[at]));
            let first = plane * layout.inner;
            for (i, dx) in dx.iter_mut().enumerate() {
                let normal = (f64::from(x[first + i]) - mean) / deviation;
                let dy = upstream(self.activation, normal * weight + bias, f64::from(dy[first + i]));
                *dx = (weight / deviation * (dy - (sum + normal * product) / count)) as f32;
            }
        });
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, layout: &Layout, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = through(Kernel::new(&INPUT_GRADIENT), self.activation);
        let operands = Operand::inputs(&["dy", "x", "coefficients"]).chain([("dx", Operand::output(0))]);
        layout.launch_by_planes(launch, kernel, operands);
        Ok(())
    }

    fn cost(&self, _: &Layout, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 6 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

/// dx of [`BatchNormalize`](super::BatchNormalize) with running statistics, which do not depend on x: weight / sqrt(var +
/// eps) * dy. Inputs dy and var, then weight if affine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormRunningGradient {
    /// Added to the variance.
    pub eps: f32,
    /// Whether there is a weight.
    pub affine: bool,
}

impl Op for BatchNormRunningGradient {
    type Geometry = Layout;

    fn name(&self) -> &'static str {
        "batch_norm_running_gradient"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let layout = check(inputs, 1 + usize::from(self.affine))?;
        Ok((vec![inputs[0].clone()], layout))
    }

    fn reference(&self, layout: &Layout, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let dy = inputs[0].f32();
        outputs[0].f32_mut().par_chunks_mut(layout.inner).enumerate().for_each(|(plane, dx)| {
            let c = plane % layout.channels;
            let deviation = (f64::from(inputs[1].f32()[c]) + f64::from(self.eps)).sqrt();
            let weight = if self.affine { f64::from(inputs[2].f32()[c]) } else { 1.0 };
            for (dx, &dy) in dx.iter_mut().zip(&dy[plane * layout.inner..]) {
                *dx = (weight / deviation * f64::from(dy)) as f32;
            }
        });
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, layout: &Layout, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&INPUT_GRADIENT_RUNNING).constant("EPS", self.eps).condition("affine", self.affine);
        let names: &[&str] = if self.affine { &["dy", "variance", "weight"] } else { &["dy", "variance"] };
        layout.launch_by_planes(launch, kernel, Operand::inputs(names).chain([("dx", Operand::output(0))]));
        Ok(())
    }

    fn cost(&self, _: &Layout, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
