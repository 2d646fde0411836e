//! Statistics of a batch, and the running ones.

use super::{Layout, check};
use crate::graph::{Cost, OnnxNode, Op};
use crate::kernel::{Kernel, Launch, MAX_LOOP_STEPS, Operand, Shader, Unsupported, read, write};
use crate::ops::reduce::channel_lanes;
use crate::ops::{expect_finite, expect_inputs};
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static PARTIAL_STATISTICS: Shader = Shader::new("batch_norm/partial_statistics", &[read("x").wide(), write("part")]);
static MERGE_STATISTICS: Shader =
    Shader::new("batch_norm/merge_statistics", &[read("part"), write("mean"), write("variance")]);
static MERGE_TOGETHER: Shader =
    Shader::new("batch_norm/merge_statistics_together", &[read("part"), write("mean"), write("variance")]);
static UPDATE_RUNNING: Shader = Shader::new(
    "batch_norm/update_running",
    &[read("mean"), read("variance"), write("running_mean"), write("running_var")],
);

/// Mean and biased variance of each channel; input x.
///
/// Partial sums are shifted by the first element they meet and merged by Chan, Golub and LeVeque's
/// formula, less the mean of their means, so that a mean of 10,000 with a deviation of 1 costs the variance
/// no digit and the mean its last one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchStatistics;

impl Op for BatchStatistics {
    type Geometry = Layout;

    fn name(&self) -> &'static str {
        "batch_statistics"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let layout = check(inputs, 0)?;
        if layout.count() == 0 {
            return Err("a batch without elements has no mean".to_owned());
        }
        Ok((vec![TensorSpec::f32([layout.channels]); 2], layout))
    }

    fn reference(&self, layout: &Layout, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let x = inputs[0].f32();
        let count = layout.count() as f64;
        for c in 0..layout.channels {
            let values = || layout.planes(x, c).flatten().map(|&x| f64::from(x));
            let mean = values().sum::<f64>() / count;
            let variance = values().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
            outputs[0].f32_mut()[c] = mean as f32;
            outputs[1].f32_mut()[c] = variance as f32;
        }
    }

    fn launch(&self, layout: &Layout, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let run = launch.width(layout.inner);
        let lanes = channel_lanes(launch.profile(), layout.channels, layout.count() / run);
        // They are merged in two loops over all lanes.
        let lanes = lanes.min(MAX_LOOP_STEPS / 2);
        let partial = launch.scratch(3 * layout.channels * lanes);
        let kernel = layout.kernel(&PARTIAL_STATISTICS, run).constant("LANES", lanes);
        launch.linear(kernel, layout.channels * lanes, [("x", Operand::input(0)), ("part", partial)]);
        let operands = [("part", partial), ("mean", Operand::output(0)), ("variance", Operand::output(1))];
        let finish = |kernel: Kernel| kernel.arguments([("elements", layout.count()), ("run", run)]);
        layout.launch_merge(launch, [&MERGE_STATISTICS, &MERGE_TOGETHER], lanes, finish, operands);
        Ok(())
    }

    fn cost(&self, _: &Layout, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 4 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    /// Part of the layer normalisation that reads them.
    fn onnx(&self, _: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        Ok(())
    }
}

/// running = (1 - momentum) * running + momentum * batch, the variance unbiased; inputs mean, var,
/// running_mean, running_var, the latter two updated. What would not be finite stays as it was: the loss of such a step
/// tells of it, and a step that is skipped leaves nothing behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateRunningStatistics {
    /// Share of the new batch, from 0 to 1.
    pub momentum: f32,
    /// Elements of a channel, by which a biased variance becomes unbiased; none where it is unbiased.
    pub count: Option<usize>,
}

impl UpdateRunningStatistics {
    /// Factor from biased to unbiased variance.
    fn correction(&self) -> f32 {
        self.count.map_or(1.0, |count| (count as f64 / (count as f64 - 1.0)) as f32)
    }
}

impl Op for UpdateRunningStatistics {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "update_running_statistics"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 4)?;
        expect_finite("momentum", self.momentum)?;
        match self.count {
            Some(0 | 1) => Err("it takes the variance of more than one value per channel".to_owned()),
            _ => Ok((vec![], ())),
        }
    }

    fn updates(&self) -> &'static [usize] {
        &[2, 3]
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let momentum = f64::from(self.momentum);
        for (which, correction) in [(0, 1.0), (1, f64::from(self.correction()))] {
            for (running, &batch) in outputs[which].f32_mut().iter_mut().zip(inputs[which].f32()) {
                let new = (1.0 - momentum) * f64::from(*running) + momentum * f64::from(batch) * correction;
                if (new as f32).is_finite() {
                    *running = new as f32;
                }
            }
        }
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel =
            Kernel::new(&UPDATE_RUNNING).constant("MOMENTUM", self.momentum).argument("correction", self.correction());
        let operands = Operand::inputs(&["mean", "variance", "running_mean", "running_var"]);
        launch.linear(kernel, launch.input(0).elements(), operands);
        Ok(())
    }
}
