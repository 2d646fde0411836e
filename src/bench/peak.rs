//! What a device can reach: two micro kernels, one of multiply-adds, one of copies.

use super::{Timing, measure};
use crate::gpu::Gpu;
use crate::graph::{Cost, Graph};
use crate::kernel::DeviceClass;
use crate::ops::{Copy, MultiplyAdds};
use crate::session::SessionError;
use crate::tensor::TensorSpec;

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

/// Measures both rates.
///
/// # Errors
/// When the device fails.
pub fn measure_peak(gpu: &Gpu) -> Result<Peak, SessionError> {
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
