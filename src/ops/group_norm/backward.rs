//! The backward pass of group normalisation: sums of each plane, which give those of channels and of groups.

use super::{GroupNormalize, Groups};
use crate::graph::{Cost, Op};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::expect_inputs;
use crate::ops::reduce::channel_lanes;
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static PLANE_SUMS: Shader = Shader::new(
    "group_norm/plane_sums",
    &[read("x"), read("dy"), read("mean"), read("variance"), write("part").vec2()],
);
static GROUP_SUMS: Shader = Shader::new(
    "group_norm/group_sums",
    &[read("part").vec2(), read("weight").when("affine"), write("product"), write("sum")],
);
static CHANNEL_SUMS: Shader =
    Shader::new("group_norm/channel_sums", &[read("part").vec2(), write("dweight"), write("dbias")]);
static INPUT_GRADIENT: Shader = Shader::new(
    "group_norm/input_gradient",
    &[
        read("x").wide(),
        read("dy").wide(),
        read("weight").when("affine"),
        read("mean"),
        read("variance"),
        read("product"),
        read("sum"),
        write("dx").wide(),
    ],
);

/// Sums over each group of weight * dy * the normalised x and of weight * dy, `[N * groups]`, and if affine the gradients of
/// weight and bias, `[C]`: the sums of dy * the normalised x and of dy. Inputs x, dy, weight if affine, mean and variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNormSums(pub GroupNormalize);

/// dx = (weight * dy - (sum + normalised x * product) / elements of a group) / sqrt(var + eps). Inputs x, dy, weight if
/// affine, mean, variance, and the first two outputs of [`GroupNormSums`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNormInputGradient(pub GroupNormalize);

impl GroupNormalize {
    /// For x, dy, weight if affine, and `statistics` vectors of the groups.
    fn infer_backward(&self, inputs: &[&TensorSpec], statistics: usize) -> Result<Groups, String> {
        let first = 2 + usize::from(self.affine);
        expect_inputs(inputs, first + statistics)?;
        match inputs[0].shape == inputs[1].shape {
            true => Groups::of(&self.norm, inputs[0], &inputs[2..first], &inputs[first..]),
            false => Err("x and its gradient have one shape".to_owned()),
        }
    }

    /// Element i of the normalised x, and the group that it is in.
    fn normal(&self, groups: &Groups, inputs: &[&HostTensor], i: usize) -> (f64, usize) {
        let (group, first) = (i / groups.elements(), 2 + usize::from(self.affine));
        let [mean, variance] = [first, first + 1].map(|input| f64::from(inputs[input].f32()[group]));
        ((f64::from(inputs[0].f32()[i]) - mean) / (variance + f64::from(self.norm.eps)).sqrt(), group)
    }

    /// The weight of element i.
    fn weight(&self, groups: &Groups, inputs: &[&HostTensor], i: usize) -> f64 {
        if self.affine { f64::from(inputs[2].f32()[i / groups.inner % groups.channels]) } else { 1.0 }
    }
}

impl Op for GroupNormSums {
    type Geometry = Groups;

    fn name(&self) -> &'static str {
        "group_norm_sums"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Groups), String> {
        let groups = self.0.infer_backward(inputs, 2)?;
        let mut outputs = vec![TensorSpec::f32([groups.groups()]); 2];
        if self.0.affine {
            outputs.extend(vec![TensorSpec::f32([groups.channels]); 2]);
        }
        Ok((outputs, groups))
    }

    fn reference(&self, groups: &Groups, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let mut of_groups = vec![[0.0; 2]; groups.groups()];
        let mut of_channels = vec![[0.0; 2]; groups.channels];
        for (i, &dy) in inputs[1].f32().iter().enumerate() {
            let (normal, group) = self.0.normal(groups, inputs, i);
            let weight = self.0.weight(groups, inputs, i);
            let channel = i / groups.inner % groups.channels;
            for (which, term) in [f64::from(dy) * normal, f64::from(dy)].into_iter().enumerate() {
                of_groups[group][which] += weight * term;
                of_channels[channel][which] += term;
            }
        }
        for (index, output) in outputs.iter_mut().enumerate() {
            let sums = if index < 2 { &of_groups } else { &of_channels };
            output.f32_mut().iter_mut().zip(sums).for_each(|(y, sums)| *y = sums[index % 2] as f32);
        }
    }

    fn launch(&self, groups: &Groups, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let lanes = channel_lanes(launch.profile(), groups.planes(), groups.inner);
        launch.expect_loop(lanes * groups.size.max(groups.batch))?;
        let part = ("part", launch.scratch(2 * groups.planes() * lanes));
        let first = 2 + usize::from(self.0.affine);
        let kernel = Kernel::new(&PLANE_SUMS).constant("EPS", self.0.norm.eps).arguments([
            ("inner", groups.inner),
            ("size", groups.size),
            ("lanes", lanes),
        ]);
        let operands = [
            ("x", Operand::input(0)),
            ("dy", Operand::input(1)),
            ("mean", Operand::input(first)),
            ("variance", Operand::input(first + 1)),
            part,
        ];
        launch.linear(kernel, groups.planes() * lanes, operands);
        let kernel = Kernel::new(&GROUP_SUMS).condition("affine", self.0.affine).arguments([
            ("channels", groups.channels),
            ("size", groups.size),
            ("lanes", lanes),
        ]);
        let weight = self.0.affine.then_some(("weight", Operand::input(2)));
        let operands = [part, ("product", Operand::output(0)), ("sum", Operand::output(1))];
        launch.linear(kernel, groups.groups(), operands.into_iter().chain(weight));
        if self.0.affine && (launch.is_read(2) || launch.is_read(3)) {
            let kernel = Kernel::new(&CHANNEL_SUMS).arguments([("batch", groups.batch), ("lanes", lanes)]);
            let operands = [part, ("dweight", Operand::output(2)), ("dbias", Operand::output(3))];
            launch.linear(kernel, groups.channels, operands);
        }
        Ok(())
    }

    fn cost(&self, _: &Groups, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 4 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

impl Op for GroupNormInputGradient {
    type Geometry = Groups;

    fn name(&self) -> &'static str {
        "group_norm_input_gradient"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Groups), String> {
        Ok((vec![inputs[0].clone()], self.0.infer_backward(inputs, 4)?))
    }

    fn reference(&self, groups: &Groups, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let first = 2 + usize::from(self.0.affine);
        for (i, dx) in outputs[0].f32_mut().iter_mut().enumerate() {
            let (normal, group) = self.0.normal(groups, inputs, i);
            let at = |input: usize| f64::from(inputs[first + input].f32()[group]);
            let mean = (at(3) + normal * at(2)) / groups.elements() as f64;
            let gradient = self.0.weight(groups, inputs, i) * f64::from(inputs[1].f32()[i]);
            *dx = ((gradient - mean) / (at(1) + f64::from(self.0.norm.eps)).sqrt()) as f32;
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, groups: &Groups, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&INPUT_GRADIENT).constant("EPS", self.0.norm.eps).condition("affine", self.0.affine);
        let names: &[&str] = match self.0.affine {
            true => &["x", "dy", "weight", "mean", "variance", "product", "sum"],
            false => &["x", "dy", "mean", "variance", "product", "sum"],
        };
        groups.launch_by_planes(launch, kernel, Operand::inputs(names).chain([("dx", Operand::output(0))]));
        Ok(())
    }

    fn cost(&self, _: &Groups, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 6 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
