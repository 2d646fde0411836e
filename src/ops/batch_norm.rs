//! Batch normalisation (Ioffe and Szegedy 2015) of dimension 1, with batch or running statistics.

mod backward;
mod card;
mod statistics;

pub use backward::{BatchNormInputGradient, BatchNormRunningGradient, BatchNormSums};
pub(crate) use card::CARD;
pub use statistics::{BatchStatistics, UpdateRunningStatistics};

use super::expect_inputs;
use super::reduce::launch_by_planes;
use crate::graph::{Backward, Cost, Graph, GraphError, OnnxAttribute, OnnxNode, OnnxSize, Op, Value};
use crate::kernel::{DeviceClass, Kernel, LINEAR_WORKGROUP, Launch, Operand, Shader, Unsupported, WIDE, read, write};
use crate::tensor::{HostTensor, Shape, Shapes, TensorSpec};
use rayon::prelude::*;

static NORMALIZE: Shader = Shader::new(
    "batch_norm/normalize",
    &[
        read("x").wide(),
        read("weight").when("affine"),
        read("bias").when("affine"),
        read("mean"),
        read("variance"),
        write("y").wide(),
    ],
);

/// Lanes from which on a workgroup merges them.
const LONG_MERGE: usize = 64;

/// x `[N, C]` or `[N, C, ...]` as N x C x inner.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    batch: usize,
    channels: usize,
    inner: usize,
}

impl Layout {
    fn of(x: &Shape) -> Result<Layout, String> {
        match x[..] {
            [batch, channels, ..] => Ok(Layout { batch, channels, inner: x[2..].iter().product() }),
            _ => Err("it normalises dimension 1 of [N, C] or [N, C, H, W]".to_owned()),
        }
    }

    /// Elements of a channel.
    fn count(&self) -> usize {
        self.batch * self.inner
    }

    /// The planes of one channel, one per image.
    fn planes<'a>(&self, x: &'a [f32], channel: usize) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let Layout { channels, inner, .. } = *self;
        x.chunks_exact(inner).skip(channel).step_by(channels)
    }

    /// A kernel whose results are elements.
    fn launch_by_planes(
        &self,
        launch: &mut Launch<'_>,
        kernel: Kernel,
        operands: impl IntoIterator<Item = (&'static str, Operand)>,
    ) {
        let Layout { batch, channels, inner } = *self;
        let kernel = kernel.arguments([("batch", batch), ("channels", channels)]);
        launch_by_planes(launch, kernel, [batch * channels, inner], operands);
    }

    /// A kernel that merges what `lanes` lanes have of each channel: one invocation per channel, or on a GPU, where that is
    /// a long way for one, a workgroup.
    fn launch_merge(
        &self,
        launch: &mut Launch<'_>,
        [alone, together]: [&'static Shader; 2],
        lanes: usize,
        finish: impl Fn(Kernel) -> Kernel,
        operands: impl IntoIterator<Item = (&'static str, Operand)>,
    ) {
        let is_long = launch.profile().class == DeviceClass::Gpu && lanes >= LONG_MERGE;
        let (shader, invocations) = if is_long { (together, LINEAR_WORKGROUP as usize) } else { (alone, 1) };
        let kernel = finish(Kernel::new(shader).argument("lanes", lanes));
        launch.linear(kernel, self.channels * invocations, operands);
    }

    /// A kernel that goes through a channel by runs of so many neighbours.
    fn kernel(&self, shader: &'static Shader, run: usize) -> Kernel {
        let sizes = [("BATCH", self.batch), ("CHANNELS", self.channels), ("INNER", self.inner / run)];
        Kernel::new(shader).constants(sizes).condition(WIDE, run > 1)
    }
}

/// Batch normalisation as a layer has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Added to each variance.
    pub eps: f32,
    /// Share of the new batch in the running statistics.
    pub momentum: f32,
    /// Whether x is normalised by its own statistics, of which the running ones take their share, or by these.
    pub batch_statistics: bool,
}

impl BatchNorm {
    /// Adds the nodes that normalise x, with weight and bias, and running mean and variance, each `[C]`.
    ///
    /// # Errors
    /// When x has one value per channel, of which its own variance is taken, or none.
    pub fn apply(
        &self,
        graph: &mut Graph,
        x: Value,
        affine: Option<[Value; 2]>,
        running: Option<[Value; 2]>,
    ) -> Result<Value, GraphError> {
        let [mean, var] = match (self.batch_statistics, running) {
            (false, Some(running)) => running,
            (false, None) => {
                return Err(GraphError::attribute("batch_statistics", false, "there are running statistics then"));
            }
            (true, running) => {
                let shape = graph.shape(x);
                let count = shape.elements() / shape.get(1).copied().unwrap_or(1).max(1);
                if count == 1 {
                    let (layer, shape) = (graph.layer().to_owned(), shape.clone());
                    return Err(GraphError::OneValuePerChannel { layer, shape });
                }
                let own = graph.apply(BatchStatistics, &[x])?;
                if let Some([running_mean, running_var]) = running {
                    let update = UpdateRunningStatistics { momentum: self.momentum, count: Some(count) };
                    graph.apply(update, &[own[0], own[1], running_mean, running_var])?;
                }
                [own[0], own[1]]
            }
        };
        let inputs: Vec<Value> = [x].into_iter().chain(affine.into_iter().flatten()).chain([mean, var]).collect();
        let normalize =
            BatchNormalize { eps: self.eps, batch_statistics: self.batch_statistics, affine: affine.is_some() };
        graph.apply_one(normalize, &inputs)
    }
}

fn check(inputs: &[&TensorSpec], vectors: usize) -> Result<Layout, String> {
    expect_inputs(inputs, 1 + vectors)?;
    let layout = Layout::of(&inputs[0].shape)?;
    match inputs[1..].iter().all(|vector| vector.shape[..] == [layout.channels]) {
        true => Ok(layout),
        false => Err(format!("its weight, bias and statistics have the shape [{}]", layout.channels)),
    }
}

/// y = (x - mean) / sqrt(var + eps) * weight + bias; inputs x, weight, bias, mean, var, each vector
/// `[C]`, weight and bias absent when not `affine`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormalize {
    /// Added to the variance.
    pub eps: f32,
    /// Mean and variance come from x by [`BatchStatistics`], and its gradient goes through them.
    pub batch_statistics: bool,
    /// Whether there are a weight and a bias.
    pub affine: bool,
}

impl BatchNormalize {
    fn vectors(&self) -> usize {
        if self.affine { 4 } else { 2 }
    }
}

impl Op for BatchNormalize {
    type Geometry = Layout;

    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let layout = check(inputs, self.vectors())?;
        match self.eps.is_finite() && self.eps >= 0.0 {
            true => Ok((vec![inputs[0].clone()], layout)),
            false => Err(format!("its eps is {}, but must be a finite number of at least 0", self.eps)),
        }
    }

    fn gradient(&self, _: &Layout, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let count = 1 + self.vectors();
        let Some(dy) = backward.upstream() else { return Ok(vec![None; count]) };
        let (x, mean, var) = (backward.input(0), backward.input(count - 2), backward.input(count - 1));
        let affine: Vec<Value> = (1..count - 2).map(|input| backward.input(input)).collect();
        let mut gradients = vec![None; count];
        // A frozen layer's own gradients are nobody's, and with running statistics not x's either.
        let needs_sums = self.batch_statistics || self.affine && (backward.wants(1) || backward.wants(2));
        let sums = match needs_sums {
            true => {
                let inputs = [&[x, dy, mean, var], &affine[..]].concat();
                backward.apply(BatchNormSums { eps: self.eps, activation: None }, &inputs)?
            }
            false => Vec::new(),
        };
        if self.affine {
            gradients[1] = sums.first().copied();
            gradients[2] = sums.get(1).copied();
        }
        gradients[0] = match sums[..] {
            _ if !backward.wants(0) => None,
            [.., coefficients] if self.batch_statistics => {
                let inputs = [dy, x, coefficients];
                Some(backward.apply_one(BatchNormInputGradient { activation: None }, &inputs)?)
            }
            _ => {
                let inputs: Vec<Value> = [dy, var].into_iter().chain(affine.first().copied()).collect();
                let gradient = BatchNormRunningGradient { eps: self.eps, affine: self.affine };
                Some(backward.apply_one(gradient, &inputs)?)
            }
        };
        Ok(gradients)
    }

    fn reference(&self, layout: &Layout, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let [mean, var] = [self.vectors() - 1, self.vectors()].map(|index| inputs[index].f32());
        let x = inputs[0].f32();
        outputs[0].f32_mut().par_chunks_mut(layout.inner).enumerate().for_each(|(plane, y)| {
            let c = plane % layout.channels;
            let scale = 1.0 / (f64::from(var[c]) + f64::from(self.eps)).sqrt();
            let (weight, bias) = if self.affine { (inputs[1].f32()[c], inputs[2].f32()[c]) } else { (1.0, 0.0) };
            for (y, &x) in y.iter_mut().zip(&x[plane * layout.inner..]) {
                let normal = (f64::from(x) - f64::from(mean[c])) * scale;
                *y = (normal * f64::from(weight) + f64::from(bias)) as f32;
            }
        });
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, layout: &Layout, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&NORMALIZE).constant("EPS", self.eps).condition("affine", self.affine);
        let kernel = launch.epilogue(kernel);
        let names: &[&str] = match self.affine {
            true => &["x", "weight", "bias", "mean", "variance"],
            false => &["x", "mean", "variance"],
        };
        layout.launch_by_planes(launch, kernel, Operand::inputs(names).chain([("y", Operand::output(0))]));
        Ok(())
    }

    fn takes_activation(&self) -> bool {
        true
    }

    fn cost(&self, _: &Layout, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 2 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    /// With running statistics batch normalisation. With those of each row of a single image, which is how a layer
    /// normalisation is computed here, that.
    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let (mut inputs, epsilon) = (node.inputs(), OnnxAttribute::float("epsilon", self.eps));
        if self.batch_statistics {
            let [OnnxSize::Fixed(1), _, OnnxSize::Fixed(columns)] = node.input_sizes(0)?[..] else {
                return Err("it normalises by the statistics of the batch".to_owned());
            };
            if self.affine {
                return Err("a weight for each row of a layer normalisation has no counterpart".to_owned());
            }
            let scale = node.repeated(1.0, columns);
            let attributes = vec![OnnxAttribute::int("axis", 2), epsilon];
            node.give("LayerNormalization", vec![inputs[0].clone(), scale], attributes);
            return Ok(());
        }
        if !self.affine {
            let channels = node.input_shape(1).elements();
            inputs.splice(1..1, [node.repeated(1.0, channels), node.repeated(0.0, channels)]);
        }
        node.give("BatchNormalization", inputs, vec![epsilon]);
        Ok(())
    }
}
