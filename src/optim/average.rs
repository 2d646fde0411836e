//! Averages of the weights over steps: exponential (EMA) and stochastic weight averaging (Izmailov et
//! al. 2018).

use super::step::chunks;
use crate::graph::Op;
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::expect_inputs;
use crate::tensor::{HostTensor, TensorSpec};

static AVERAGE: Shader = Shader::new("optimizer/average", &[write("average"), read("weights"), read("share")]);

/// e := e + share * (w - e), in place, or w where the share is 1, whatever e was; inputs e, w and the step's share `[1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AverageWeights;

impl Op for AverageWeights {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "average_weights"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 3)?;
        match inputs[0].shape == inputs[1].shape {
            true => Ok((vec![], ())),
            false => Err("average and weights have one shape".to_owned()),
        }
    }

    fn updates(&self) -> &'static [usize] {
        &[0]
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let share = f64::from(inputs[2].f32()[0]);
        for (e, &w) in outputs[0].f32_mut().iter_mut().zip(inputs[1].f32()) {
            let kept = if share == 1.0 { 0.0 } else { f64::from(*e) * (1.0 - share) };
            *e = (kept + share * f64::from(w)) as f32;
        }
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        for (first, count) in chunks(launch, launch.input(0).elements()) {
            let operands = [
                ("average", Operand::input(0).slice(first, count)),
                ("weights", Operand::input(1).slice(first, count)),
                ("share", Operand::input(2)),
            ];
            launch.linear(Kernel::new(&AVERAGE), count, operands);
        }
        Ok(())
    }
}
