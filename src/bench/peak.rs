//! What a device can reach: two micro kernels, one of multiply-adds, one of copies.

use super::{Timing, measure_async};
use crate::gpu::Gpu;
use crate::graph::{Cost, Graph};
use crate::kernel::DeviceClass;
use crate::ops::{Copy, MultiplyAdds};
use crate::session::SessionError;
use crate::tensor::TensorSpec;
use std::fmt;

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

impl fmt::Display for Peak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} GFLOP/s multiply-add, {:.1} GB/s copy", self.flops / 1e9, self.bytes / 1e9)
    }
}

/// Measures both rates.
///
/// # Errors
/// When the device fails.
#[cfg(blocking)]
pub fn measure_peak(gpu: &Gpu) -> Result<Peak, SessionError> {
    pollster::block_on(measure_peak_async(gpu))
}

/// As [`measure_peak`], where nothing may wait.
///
/// # Errors
/// As [`measure_peak`].
pub async fn measure_peak_async(gpu: &Gpu) -> Result<Peak, SessionError> {
    let (invocations, rounds, elements) = match gpu.profile().class {
        DeviceClass::Gpu => (1 << 20, 512, 64 << 20),
        DeviceClass::Cpu => (1 << 12, 1024, 8 << 20),
    };
    let elements = elements.min((gpu.profile().max_binding_bytes / 4) as usize);
    let mut graph = Graph::new();
    let built = graph.apply_one(MultiplyAdds { invocations, rounds }, &[]).map(|y| graph.output("y", y));
    debug_assert!(built.is_ok(), "the micro kernel takes no inputs");
    let arithmetic = measure_async(gpu, &graph).await?;
    let flops = super::cost(&graph).flops as f64 / fastest(&arithmetic);

    let mut graph = Graph::new();
    let built = graph
        .input("x", TensorSpec::f32([elements]))
        .and_then(|x| graph.apply_one(Copy, &[x]))
        .map(|y| graph.output("y", y));
    debug_assert!(built.is_ok(), "a copy takes any shape");
    let copy = measure_async(gpu, &graph).await?;
    Ok(Peak { flops, bytes: super::cost(&graph).bytes as f64 / fastest(&copy) })
}

/// A peak is what the device reaches when nothing disturbs it.
fn fastest(timing: &Timing) -> f64 {
    timing.quartiles[0]
}
