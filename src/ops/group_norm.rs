//! Group normalisation (Wu and He 2018): each image's channels are normalised group by group.

mod backward;
mod card;

pub use backward::{GroupNormInputGradient, GroupNormSums};
pub(crate) use card::CARD;

use super::reduce::launch_by_planes;
use super::{BatchStatistics, Reshape, expect_inputs};
use crate::graph::{Backward, Cost, Graph, GraphError, OnnxAttribute, OnnxNode, OnnxSize, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static NORMALIZE: Shader = Shader::new(
    "group_norm/normalize",
    &[
        read("x").wide(),
        read("weight").when("affine"),
        read("bias").when("affine"),
        read("mean"),
        read("variance"),
        write("y").wide(),
    ],
);

/// Group normalisation as a layer has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    /// Into how many groups the channels are cut.
    pub groups: usize,
    /// Added to each variance.
    pub eps: f32,
}

impl GroupNorm {
    /// Adds the nodes that normalise x `[N, C, ...]`, with weight and bias `[C]`.
    ///
    /// # Errors
    /// When the groups do not divide the channels, or x has no elements.
    pub fn apply(self, graph: &mut Graph, x: Value, affine: Option<[Value; 2]>) -> Result<Value, GraphError> {
        let groups = match graph.shape(x)[..] {
            [batch, channels, ..] if self.divides(channels) => batch * self.groups,
            _ => {
                let rule = format!("it divides the channels of a tensor of shape {}", graph.shape(x));
                return Err(GraphError::attribute("groups", self.groups, rule));
            }
        };
        // A group's elements lie side by side: its statistics are those of a channel of one image.
        let elements = graph.shape(x).elements().checked_div(groups).unwrap_or(0);
        let rows = graph.apply_one(Reshape { shape: [1, groups, elements].into() }, &[x])?;
        let statistics = graph.apply(BatchStatistics, &[rows])?;
        let inputs: Vec<Value> = [x].into_iter().chain(affine.into_iter().flatten()).chain(statistics).collect();
        graph.apply_one(GroupNormalize { norm: self, affine: affine.is_some() }, &inputs)
    }

    /// Whether so many channels fall into the groups, each of which has at least one.
    fn divides(&self, channels: usize) -> bool {
        channels > 0 && self.groups > 0 && channels.is_multiple_of(self.groups)
    }
}

/// y = (x - mean) / sqrt(var + eps) * weight + bias; inputs x `[N, C, ...]`, weight and bias `[C]`, absent when not
/// `affine`, and mean and variance of each group, `[N * groups]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNormalize {
    /// Groups and eps.
    pub norm: GroupNorm,
    /// Whether there are weight and bias.
    pub affine: bool,
}

/// x as batch x channels x inner, `size` channels in a group.
#[derive(Clone, Copy, Debug)]
pub struct Groups {
    batch: usize,
    channels: usize,
    inner: usize,
    size: usize,
}

impl Groups {
    /// Of x, where `vectors` are vectors of the channels and `statistics` of the groups.
    fn of(
        norm: &GroupNorm,
        x: &TensorSpec,
        vectors: &[&TensorSpec],
        statistics: &[&TensorSpec],
    ) -> Result<Groups, String> {
        let (batch, channels) = match x.shape[..] {
            [batch, channels, ..] if norm.divides(channels) => (batch, channels),
            _ => return Err(format!("it normalises [N, C, ...] whose channels {} groups divide", norm.groups)),
        };
        if !(norm.eps.is_finite() && norm.eps >= 0.0) {
            return Err(format!("its eps is {}, but must be a finite number of at least 0", norm.eps));
        }
        let groups = batch * norm.groups;
        if vectors.iter().any(|vector| vector.shape[..] != [channels]) {
            return Err(format!("its weight and bias have the shape [{channels}]"));
        }
        if statistics.iter().any(|statistic| statistic.shape[..] != [groups]) {
            return Err(format!("its statistics have the shape [{groups}]"));
        }
        Ok(Groups { batch, channels, inner: x.shape.stride(1), size: channels / norm.groups })
    }

    fn planes(&self) -> usize {
        self.batch * self.channels
    }

    fn groups(&self) -> usize {
        self.planes() / self.size
    }

    /// Elements of a group.
    fn elements(&self) -> usize {
        self.size * self.inner
    }

    /// A kernel whose results are elements.
    fn launch_by_planes(
        &self,
        launch: &mut Launch<'_>,
        kernel: Kernel,
        operands: impl IntoIterator<Item = (&'static str, Operand)>,
    ) {
        let kernel = kernel.arguments([("channels", self.channels), ("size", self.size)]);
        launch_by_planes(launch, kernel, [self.planes(), self.inner], operands);
    }
}

impl Op for GroupNormalize {
    type Geometry = Groups;

    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Groups), String> {
        let vectors = if self.affine { 2 } else { 0 };
        expect_inputs(inputs, 3 + vectors)?;
        let groups = Groups::of(&self.norm, inputs[0], &inputs[1..1 + vectors], &inputs[1 + vectors..])?;
        Ok((vec![inputs[0].clone()], groups))
    }

    fn gradient(&self, _: &Groups, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let count = backward.inputs();
        let mut gradients = vec![None; count];
        let Some(dy) = backward.upstream() else { return Ok(gradients) };
        // The statistics come from x: its gradient goes through them, and they have none of their own.
        let (x, weight) = (backward.input(0), self.affine.then(|| backward.input(1)));
        let statistics = [backward.input(count - 2), backward.input(count - 1)];
        let inputs: Vec<Value> = [x, dy].into_iter().chain(weight).chain(statistics).collect();
        let sums = backward.apply(GroupNormSums(*self), &inputs)?;
        if self.affine {
            (gradients[1], gradients[2]) = (Some(sums[2]), Some(sums[3]));
        }
        if backward.wants(0) {
            let inputs = [&inputs[..], &sums[..2]].concat();
            gradients[0] = Some(backward.apply_one(GroupNormInputGradient(*self), &inputs)?);
        }
        Ok(gradients)
    }

    fn reference(&self, groups: &Groups, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let [mean, variance] = [inputs.len() - 2, inputs.len() - 1].map(|index| inputs[index].f32());
        for (i, (y, &x)) in outputs[0].f32_mut().iter_mut().zip(inputs[0].f32()).enumerate() {
            let (group, channel) = (i / groups.elements(), i / groups.inner % groups.channels);
            let deviation = (f64::from(variance[group]) + f64::from(self.norm.eps)).sqrt();
            let normal = (f64::from(x) - f64::from(mean[group])) / deviation;
            let at = |input: usize| f64::from(inputs[input].f32()[channel]);
            *y = if self.affine { normal * at(1) + at(2) } else { normal } as f32;
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, groups: &Groups, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&NORMALIZE).constant("EPS", self.norm.eps).condition("affine", self.affine);
        let kernel = launch.epilogue(kernel);
        let names: &[&str] = match self.affine {
            true => &["x", "weight", "bias", "mean", "variance"],
            false => &["x", "mean", "variance"],
        };
        groups.launch_by_planes(launch, kernel, Operand::inputs(names).chain([("y", Operand::output(0))]));
        Ok(())
    }

    fn takes_activation(&self) -> bool {
        true
    }

    fn cost(&self, _: &Groups, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 2 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    /// As instance normalisation of groups, then weight and bias: ONNX has a normalisation of groups since set 18.
    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let (inputs, groups) = (node.inputs(), self.norm.groups);
        let rank = node.output_shape(0).len();
        // A 0 keeps the size, -1 is what is left.
        let shape = node.ints([0, groups as i64, -1]);
        let grouped = node.step("Reshape", vec![inputs[0].clone(), shape], vec![]);
        let [ones, zeros] = [node.repeated(1.0, groups), node.repeated(0.0, groups)];
        let epsilon = vec![OnnxAttribute::float("epsilon", self.norm.eps)];
        let normal = node.step("InstanceNormalization", vec![grouped, ones, zeros], epsilon);
        let sizes = node.output_sizes(0)?;
        let number = |size: &OnnxSize| match size {
            OnnxSize::Fixed(size) => *size as i64,
            OnnxSize::Batch(_) => 0,
        };
        let shape = node.ints(sizes.iter().map(number));
        if !self.affine {
            node.give("Reshape", vec![normal, shape], vec![]);
            return Ok(());
        }
        let normal = node.step("Reshape", vec![normal, shape], vec![]);
        let column = node.ints([-1].into_iter().chain(std::iter::repeat_n(1, rank - 2)));
        let [weight, bias] =
            [1, 2].map(|input| node.step("Reshape", vec![inputs[input].clone(), column.clone()], vec![]));
        let scaled = node.step("Mul", vec![normal, weight], vec![]);
        node.give("Add", vec![scaled, bias], vec![]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_divide_the_channels_and_have_at_least_one() {
        let norm = |groups: usize| GroupNorm { groups, eps: 1e-5 };
        for (groups, channels, fits) in [(2, 6, true), (6, 6, true), (4, 6, false), (0, 6, false), (2, 0, false)] {
            let (x, vector) = (TensorSpec::f32([3, channels, 4]), TensorSpec::f32([3 * groups]));
            let sums = GroupNormSums(GroupNormalize { norm: norm(groups), affine: false });
            assert_eq!(sums.infer(&[&x, &x, &vector, &vector]).is_ok(), fits, "{groups} groups of {channels}");
            let mut graph = Graph::new();
            let x = graph.input("x", x).unwrap();
            assert_eq!(norm(groups).apply(&mut graph, x, None).is_ok(), fits, "{groups} groups of {channels}");
        }
    }
}
