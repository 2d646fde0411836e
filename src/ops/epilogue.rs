//! Activations in the stores of other ops' kernels.

use super::Activation;
use crate::graph::{Applied, Backward, Cost, GraphError, Value};
use crate::kernel::{Launch, Unsupported};
use crate::tensor::{HostTensor, Shapes};
use std::sync::Arc;

/// y = f(op(inputs)): an op with one output that [takes an activation](Applied::takes_activation), whose
/// kernels apply it to what they store. One tensor less is written and read.
///
/// [`Graph::fuse_activations`](crate::graph::Graph::fuse_activations) makes it of two nodes, after the
/// backward pass was added.
#[derive(Clone, Debug)]
pub struct Activated {
    /// What is computed first.
    pub op: Arc<dyn Applied>,
    /// What is then applied to each element.
    pub activation: Activation,
}

impl Applied for Activated {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn gradient(&self, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        Err(backward.not_differentiable())
    }

    fn reference(&self, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        self.op.reference(inputs, outputs);
        for y in outputs[0].f32_mut() {
            *y = self.activation.value(f64::from(*y)) as f32;
        }
    }

    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.end_with(self.activation.epilogue());
        self.op.launch(launch)
    }

    fn cost(&self, shapes: &Shapes<'_>) -> Cost {
        let own = self.op.cost(shapes);
        Cost { flops: own.flops + shapes.outputs[0].elements() as u64, ..own }
    }
}
