//! Averages of the weights over steps: exponential (EMA) and stochastic weight averaging (Izmailov et
//! al. 2018).

use super::step::chunks;
use crate::graph::Op;
use crate::kernel::{Binding, Kernel, Launch, Operand, Unsupported};
use crate::ops::expect_inputs;
use crate::tensor::{HostTensor, Shapes, TensorSpec};

/// e := e + share * (w - e), in place; inputs e, w and the step's share `[1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AverageWeights;

impl Op for AverageWeights {
    fn name(&self) -> &'static str {
        "average_weights"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        expect_inputs(inputs, 3)?;
        match inputs[0].shape == inputs[1].shape {
            true => Ok(vec![]),
            false => Err("average and weights have one shape".to_owned()),
        }
    }

    fn updates(&self) -> &'static [usize] {
        &[0]
    }

    fn reference(&self, inputs: &[&HostTensor], outputs: &mut [HostTensor], _: &Shapes<'_>) {
        let share = f64::from(inputs[2].f32()[0]);
        for (e, &w) in outputs[0].f32_mut().iter_mut().zip(inputs[1].f32()) {
            *e = (f64::from(*e) * (1.0 - share) + share * f64::from(w)) as f32;
        }
    }

    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        for (first, count) in chunks(launch) {
            let slice = |binding: Binding| binding.slice(first, count);
            let bindings =
                [slice(Operand::Input(0).write()), slice(Operand::Input(1).read()), Operand::Input(2).read()];
            launch.linear(Kernel::new("optimizer/average"), count, bindings);
        }
        Ok(())
    }
}
