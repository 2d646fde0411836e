//! A step of parameters along directions that are known.

use super::loss_scale::{WITH_SKIP, is_skipped};
use super::step::chunks;
use crate::graph::Op;
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::expect_inputs;
use crate::tensor::{HostTensor, TensorSpec};

static APPLY: Shader = Shader::new(
    "optimizer/apply",
    &[write("parameters"), read("directions"), read("scalars"), read("ratios").when("trusted")],
);

/// p := (1 - lr decay) p - lr factor d, in place, with lr = rate times the step's. Inputs: parameters, as many directions,
/// the step's scalars `[5]`, or `[6]` where it may be skipped, and where it is `trusted` the [ratios](super::TrustRatios) that d is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ApplyDirections {
    /// Times the learning rate.
    pub rate: f32,
    /// Decoupled weight decay.
    pub decay: f64,
    /// Of the directions.
    pub factor: f64,
    /// Whether the directions are multiplied by ratios, one for each block of `PACK_ALIGNMENT` elements.
    pub trusted: bool,
}

impl Op for ApplyDirections {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "apply_directions"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 3 + usize::from(self.trusted))?;
        match inputs[0].elements() == inputs[1].elements() {
            true => Ok((vec![], ())),
            false => Err("there are as many directions as parameters".to_owned()),
        }
    }

    fn updates(&self) -> &'static [usize] {
        &[0]
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        if is_skipped(inputs[2].f32()) {
            return;
        }
        let lr = f64::from(self.rate) * f64::from(inputs[2].f32()[0]);
        for (i, (p, &d)) in outputs[0].f32_mut().iter_mut().zip(inputs[1].f32()).enumerate() {
            let ratio = inputs.get(3).map_or(1.0, |ratios| f64::from(ratios.f32()[i / super::trust::BLOCK]));
            *p = (f64::from(*p) * (1.0 - lr * self.decay) - lr * self.factor * ratio * f64::from(d)) as f32;
        }
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        for (first, count) in chunks(launch, launch.input(0).elements()) {
            let kernel = Kernel::new(&APPLY)
                .constant("RATE", self.rate)
                .constant("DECAY", self.decay as f32)
                .constant("FACTOR", self.factor as f32)
                .constant("BLOCK", super::trust::BLOCK)
                .condition("trusted", self.trusted)
                .condition("skippable", launch.input(2).elements() == WITH_SKIP)
                .argument("first", first);
            let mut operands = vec![
                ("parameters", Operand::input(0).slice(first, count)),
                ("directions", Operand::input(1).slice(first, count)),
                ("scalars", Operand::input(2)),
            ];
            operands.extend(self.trusted.then(|| ("ratios", Operand::input(3))));
            launch.linear(kernel, count, operands);
        }
        Ok(())
    }
}
