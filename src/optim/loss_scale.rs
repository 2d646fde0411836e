//! A loss scale that follows the gradients (Micikevicius et al. 2018), for a training that stores gradients in f16: what is
//! too small for f16 would be lost, and is not when the loss is multiplied by a large number.
//!
//! As PyTorch's `GradScaler`: the scale begins at 65,536. Where a gradient is not finite, it is halved, and the step changes
//! neither parameters nor the optimizer's state. After 2,000 steps in a row that were not skipped it is doubled. All of it
//! stands on the device, and nobody waits for it: the update reads from its scalars that it is to do nothing.
//!
//! Training in f32 may skip such steps too. The loss is then as it is, and the scale stays 1.

use super::SCALARS;
use super::clip::{lanes, sum_lanes};
use super::step::chunks;
use crate::graph::{Graph, GraphError, Init, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::{Add, expect_inputs};
use crate::tensor::{HostTensor, TensorSpec};

/// Name of what the loss is multiplied by, `[1]`: a power of two. A checkpoint has it.
pub const LOSS_SCALE: &str = "loss_scale.scale";

/// Name of the number of steps since the scale has changed, `[1]`.
const GOOD_STEPS: &str = "loss_scale.good_steps";

/// Name of the number of steps that were skipped, `[1]`.
pub const SKIPPED_STEPS: &str = "loss_scale.skipped_steps";

/// Steps in a row after which the scale is doubled.
const GROWTH_INTERVAL: f32 = 2000.0;

/// The scale stays a number whose inverse is not subnormal.
const SMALLEST: f32 = f32::MIN_POSITIVE;
const LARGEST: f32 = 1.0 / (2.0 * f32::MIN_POSITIVE);

/// Scalars of so many steps are given to a step whose loss is scaled: of its own and of those before. One that was skipped
/// does not count, so that the bias correction of Adam stays that of the steps which were made.
pub(super) const STEPS_BEFORE: usize = 64;

/// Scalars of a step ([`Optimizer::scalars`](super::Optimizer::scalars)).
pub(super) const OF_STEP: usize = 5;

/// The same, and 1 where the step is to be skipped.
pub(super) const WITH_SKIP: usize = OF_STEP + 1;

static UNSCALE: Shader = Shader::new("optimizer/unscale", &[write("gradients"), read("scale"), write("part")]);
static ADAPT: Shader = Shader::new(
    "optimizer/adapt_scale",
    &[write("scale"), write("good_steps"), write("skipped_steps"), read("not_finite"), read("steps"), write("scalars")],
);

/// What the loss is multiplied by.
///
/// # Errors
/// When another tensor has its name.
pub fn loss_scale(graph: &mut Graph) -> Result<Value, GraphError> {
    match graph.find(LOSS_SCALE) {
        Some(scale) => Ok(scale),
        None => graph.buffer(LOSS_SCALE, [1], Init::Constant(65_536.0)),
    }
}

/// Divides the gradients by the loss scale and moves that on where the loss `is_scaled`; gives the scalars of the
/// step, `[6]`.
pub(super) fn unscaled(graph: &mut Graph, gradients: &[Value], is_scaled: bool) -> Result<Value, GraphError> {
    let steps = graph.input(SCALARS, TensorSpec::f32([STEPS_BEFORE, OF_STEP]))?;
    let scale = match is_scaled {
        true => loss_scale(graph)?,
        false => graph.buffer(LOSS_SCALE, [1], Init::ONES)?,
    };
    let good_steps = graph.buffer(GOOD_STEPS, [1], Init::ZEROS)?;
    let skipped_steps = graph.buffer(SKIPPED_STEPS, [1], Init::ZEROS)?;
    let mut total = None;
    for &pack in gradients {
        let own = graph.apply_one(UnscaleGradients, &[pack, scale])?;
        total = Some(match total {
            None => own,
            Some(total) => graph.apply_one(Add, &[total, own])?,
        });
    }
    match total {
        Some(not_finite) => {
            graph.apply_one(AdaptScale { moves: is_scaled }, &[scale, good_steps, skipped_steps, not_finite, steps])
        }
        // Nothing is trained, and nothing reads them.
        None => Ok(steps),
    }
}

/// g := g / scale, in place, and a number above 0 where a g is not finite, `[1]`. Inputs: gradients and the scale `[1]`, a
/// power of two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnscaleGradients;

impl Op for UnscaleGradients {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "unscale_gradients"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        Ok((vec![TensorSpec::f32([1])], ()))
    }

    fn updates(&self) -> &'static [usize] {
        &[0]
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let scale = inputs[1].f32()[0];
        let is_finite = inputs[0].f32().iter().all(|g| g.is_finite());
        outputs[0].f32_mut()[0] = if is_finite { 0.0 } else { 1.0 };
        outputs[1].f32_mut().iter_mut().for_each(|g| *g /= scale);
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let chunks = chunks(launch, launch.input(0).elements());
        let lanes = lanes(launch, &chunks);
        let partial = launch.scratch(lanes * chunks.len());
        for (index, &(first, count)) in chunks.iter().enumerate() {
            let kernel = Kernel::new(&UNSCALE).constant("ELEMENTS", count).constant("FIRST", index * lanes);
            let gradients = Operand::input(0).slice(first, count);
            let operands = [("gradients", gradients), ("scale", Operand::input(1)), ("part", partial)];
            launch.linear(kernel, lanes, operands);
        }
        sum_lanes(launch, partial, lanes * chunks.len(), chunks.len(), Operand::output(0));
        Ok(())
    }
}

/// The scale of the next step, in place: half, with a step more that was skipped, where gradients are not finite; double
/// after `GROWTH_INTERVAL` steps; and the scalars of this step, `[6]`. Inputs: scale, steps since it has changed, steps
/// that were skipped and whether gradients are not finite, each `[1]`, and the scalars of steps, `[64, 5]`: this
/// one's, and those of the steps before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptScale {
    /// Whether the scale follows the gradients, or stays 1.
    pub moves: bool,
}

impl AdaptScale {
    /// The smallest and the largest scale.
    fn bounds(&self) -> (f32, f32) {
        if self.moves { (SMALLEST, LARGEST) } else { (1.0, 1.0) }
    }
}

impl Op for AdaptScale {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "adapt_scale"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 5)?;
        match inputs[4].shape[..] == [STEPS_BEFORE, OF_STEP] {
            true => Ok((vec![TensorSpec::f32([WITH_SKIP])], ())),
            false => Err(format!("its scalars have the shape [{STEPS_BEFORE}, {OF_STEP}]")),
        }
    }

    fn updates(&self) -> &'static [usize] {
        &[0, 1, 2]
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let (smallest, largest) = self.bounds();
        let [scale, good_steps, skipped_steps] = [0, 1, 2].map(|input| inputs[input].f32()[0]);
        let row = (skipped_steps as usize).min(STEPS_BEFORE - 1);
        let skips = inputs[3].f32()[0] != 0.0;
        let grows = !skips && good_steps + 1.0 >= GROWTH_INTERVAL;
        let scalars = outputs[0].f32_mut();
        scalars[..OF_STEP].copy_from_slice(&inputs[4].f32()[row * OF_STEP..][..OF_STEP]);
        scalars[OF_STEP] = if skips { 1.0 } else { 0.0 };
        outputs[1].f32_mut()[0] = match (skips, grows) {
            (true, _) => (scale * 0.5).max(smallest),
            (_, true) => (scale * 2.0).min(largest),
            _ => scale,
        };
        outputs[2].f32_mut()[0] = if skips || grows { 0.0 } else { good_steps + 1.0 };
        outputs[3].f32_mut()[0] = skipped_steps + if skips { 1.0 } else { 0.0 };
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let (smallest, largest) = self.bounds();
        let kernel = Kernel::new(&ADAPT).constants([("STEPS_BEFORE", STEPS_BEFORE), ("OF_STEP", OF_STEP)]).constants([
            ("GROWTH_INTERVAL", GROWTH_INTERVAL),
            ("SMALLEST", smallest),
            ("LARGEST", largest),
        ]);
        let inputs = ["scale", "good_steps", "skipped_steps", "not_finite", "steps"];
        launch.linear(kernel, 1, Operand::inputs(&inputs).chain([("scalars", Operand::output(0))]));
        Ok(())
    }
}

/// Whether the scalars that a step is given say that it is to be skipped.
pub(super) fn is_skipped(scalars: &[f32]) -> bool {
    scalars.get(OF_STEP).is_some_and(|&skip| skip != 0.0)
}
