//! Arithmetic and nothing else: what a device's peak is measured with.

mod card;

pub(crate) use card::CARD;

use crate::graph::{Cost, Op};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, write};
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static MULTIPLY_ADDS: Shader = Shader::new("bench/multiply_adds", &[write("y")]);

/// Chains of multiply-adds that nothing but the arithmetic units limits; output one element an
/// invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiplyAdds {
    /// Elements of the output.
    pub invocations: usize,
    /// Turns of each invocation's loop.
    pub rounds: usize,
}

/// Independent chains of vec4.
const CHAINS: usize = 16;

/// What a chain is multiplied by, no power of two, and what is added.
const FACTOR: f32 = 0.4375;
const TERM: f32 = 0.28125;

/// Multiply-adds of a chain in one round: a CPU adapter masks a chain's lanes after each round, and would be
/// measured at that with fewer.
const STEPS: usize = 4;

impl Op for MultiplyAdds {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "multiply_adds"
    }

    fn infer(&self, _: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        Ok((vec![TensorSpec::f32([self.invocations])], ()))
    }

    fn reference(&self, (): &(), _: &[&HostTensor], outputs: &mut [HostTensor]) {
        for (index, y) in outputs[0].f32_mut().iter_mut().enumerate() {
            let start = index as f32;
            let chain = |chain: usize, lane: usize| {
                let mut x = start * (chain + 1) as f32 + lane as f32;
                for _ in 0..self.rounds * STEPS {
                    x = x.mul_add(FACTOR, TERM);
                }
                x
            };
            *y = (0..CHAINS).flat_map(|c| (0..4).map(move |lane| (c, lane))).map(|(c, lane)| chain(c, lane)).sum();
        }
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let constants = [("ROUNDS", self.rounds), ("STEPS", STEPS), ("CHAINS", CHAINS)];
        let arguments = [("factor", FACTOR), ("term", TERM)];
        let kernel = Kernel::new(&MULTIPLY_ADDS).constants(constants).arguments(arguments);
        launch.linear(kernel, self.invocations, [("y", Operand::output(0))]);
        Ok(())
    }

    fn cost(&self, (): &(), shapes: &Shapes<'_>) -> Cost {
        Cost { flops: (self.invocations * self.rounds * STEPS * CHAINS * 4 * 2) as u64, bytes: shapes.bytes() }
    }
}
