//! Who computes: the GPU's kernels or the CPU reference.

use crate::check;
use crate::gpu::{Gpu, GpuError};
use crate::graph::Graph;
use crate::reference::{self, Tensors};
use crate::tensor::HostTensor;

/// What runs a graph.
#[derive(Clone)]
pub enum Backend {
    Gpu(Gpu),
    Reference,
}

impl Backend {
    /// Runs `graph` once from the given inputs and state: its outputs, in their order, and the state
    /// afterwards.
    ///
    /// # Errors
    /// When the device fails.
    pub fn run(&self, graph: &Graph, tensors: &Tensors) -> Result<(Vec<HostTensor>, Tensors), GpuError> {
        match self {
            Backend::Gpu(gpu) => check::run_on_device(gpu, graph, tensors),
            Backend::Reference => {
                let mut state = tensors.clone();
                let outputs = reference::run(graph, tensors, &mut state);
                Ok((outputs, state))
            }
        }
    }
}
