//! What a device can reach: two micro kernels, one of multiply-adds, one of copies.

use super::{Timing, measure};
use crate::gpu::{Gpu, GpuError};
use crate::graph::Graph;
use crate::ops::{Copy, Cost, Op, Shapes};
use crate::plan::{DeviceClass, Kernel, Launch, Operand, PlanError};
use crate::tensor::{HostTensor, TensorSpec};

/// Rates of a device, measured on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Floating point operations a second, a multiply-add counted as two.
    pub flops: f64,
    /// Bytes a second, reads and writes together.
    pub bytes: f64,
}

impl Peak {
    /// The shortest time that `cost` can take on this device, in seconds.
    pub fn bound(&self, cost: &Cost) -> f64 {
        (cost.flops as f64 / self.flops).max(cost.bytes as f64 / self.bytes)
    }
}

/// Chains of multiply-adds that nothing but the arithmetic units limits; output one element an
/// invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiplyAdds {
    pub invocations: usize,
    pub rounds: usize,
}

/// Independent chains of vec4.
const CHAINS: usize = 16;

/// Multiply-adds of a chain in one round: a CPU adapter masks a chain's lanes after each round, and would be
/// measured at that with fewer.
const STEPS: usize = 4;

impl Op for MultiplyAdds {
    fn name(&self) -> &'static str {
        "multiply_adds"
    }

    fn infer(&self, _: &[&TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        Ok(vec![TensorSpec::f32([self.invocations])])
    }

    fn reference(&self, _: &[&HostTensor], outputs: &mut [HostTensor], _: &Shapes<'_>) {
        for (index, y) in outputs[0].f32_mut().iter_mut().enumerate() {
            let start = index as f32;
            let chain = |chain: usize, lane: usize| {
                let mut x = start * (chain + 1) as f32 + lane as f32;
                for _ in 0..self.rounds * STEPS {
                    x = x.mul_add(0.5, 0.25);
                }
                x
            };
            *y = (0..CHAINS).flat_map(|c| (0..4).map(move |lane| (c, lane))).map(|(c, lane)| chain(c, lane)).sum();
        }
    }

    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), PlanError> {
        let constants = [("ROUNDS", self.rounds), ("STEPS", STEPS), ("CHAINS", CHAINS)];
        let kernel = Kernel::new("bench/multiply_adds").constants(constants);
        launch.linear(kernel, self.invocations, [Operand::Output(0).write()]);
        Ok(())
    }

    fn cost(&self, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: (self.invocations * self.rounds * STEPS * CHAINS * 4 * 2) as u64, bytes: shapes.bytes() }
    }
}

/// Measures both rates.
///
/// # Errors
/// When the device fails.
pub fn measure_peak(gpu: &Gpu) -> Result<Peak, GpuError> {
    let (invocations, rounds, elements) = match gpu.profile().class {
        DeviceClass::Gpu => (1 << 20, 512, 64 << 20),
        DeviceClass::Cpu => (1 << 12, 1024, 8 << 20),
    };
    let elements = elements.min((gpu.profile().max_binding_bytes / 4) as usize);
    let mut graph = Graph::new();
    let built = graph.apply_one(MultiplyAdds { invocations, rounds }, &[]).map(|y| graph.output("y", y));
    debug_assert!(built.is_ok(), "the micro kernel takes no inputs");
    let arithmetic = measure(gpu, &graph)?;
    let flops = super::cost(&graph).flops as f64 / fastest(&arithmetic);

    let mut graph = Graph::new();
    let built = graph
        .input("x", TensorSpec::f32([elements]))
        .and_then(|x| graph.apply_one(Copy, &[x]))
        .map(|y| graph.output("y", y));
    debug_assert!(built.is_ok(), "a copy takes any shape");
    let copy = measure(gpu, &graph)?;
    Ok(Peak { flops, bytes: super::cost(&graph).bytes as f64 / fastest(&copy) })
}

/// A peak is what the device reaches when nothing disturbs it.
fn fastest(timing: &Timing) -> f64 {
    timing.quartiles[0]
}
