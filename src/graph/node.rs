//! The parts of a graph: its tensors, and the nodes that compute them.

use super::Init;
use super::op::{Applied, Inferred, Op};
use crate::tensor::TensorSpec;
use std::any::Any;
use std::sync::Arc;

/// A tensor of a graph, named by its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub(crate) u32);

impl Value {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a tensor's elements come from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// Given anew for every run.
    Input,
    /// Learned: kept from run to run, written by an optimizer unless frozen.
    Parameter {
        /// What it starts from.
        init: Init,
        /// Not frozen.
        trainable: bool,
    },
    /// Kept from run to run and written by ops: running statistics, optimizer state. What is not `saved` is of no use to
    /// who goes on later, such as metrics.
    Buffer {
        /// What it starts from.
        init: Init,
        /// A checkpoint has it.
        saved: bool,
    },
    /// Members laid one after another in one piece of memory, each at a multiple of
    /// [`PACK_ALIGNMENT`] elements with zeros between, so that one op can work on all of them.
    Pack {
        /// Parameters, gradients or buffers, in their order.
        members: Vec<Value>,
        /// First element of each.
        offsets: Vec<usize>,
    },
    /// An output of a node.
    Node {
        /// Index in [`Graph::nodes`](super::Graph::nodes).
        node: usize,
        /// Which of its outputs, from 0.
        output: usize,
    },
}

/// Elements between the starts of a pack's members are a multiple of this: 256 bytes, the
/// alignment of a storage binding.
pub const PACK_ALIGNMENT: usize = 64;

/// What a [`Value`] stands for.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// For an input, a parameter or a buffer the name that it is found by, else a telling one.
    pub name: String,
    /// Shape and element type.
    pub spec: TensorSpec,
    /// Where its elements come from.
    pub role: Role,
}

impl Tensor {
    /// Whether it is a parameter or a buffer, which live on between runs.
    pub fn is_kept(&self) -> bool {
        matches!(self.role, Role::Parameter { .. } | Role::Buffer { .. })
    }

    /// Whether a checkpoint has it.
    pub fn is_saved(&self) -> bool {
        matches!(self.role, Role::Parameter { .. } | Role::Buffer { saved: true, .. })
    }
}

/// Which part of a step a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// From the inputs to the loss.
    Forward,
    /// From the loss to the gradients.
    Backward,
    /// From the gradients to new parameters.
    Update,
}

/// One application of an op.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Arc<dyn Applied>,
    /// What it is computed of, in the op's order.
    pub inputs: Vec<Value>,
    /// What comes out, in the op's order.
    pub outputs: Vec<Value>,
    /// Path of the layer the node was built for, such as `layer1.0.conv1`.
    pub layer: String,
    /// The part of a step that it belongs to.
    pub pass: Pass,
}

impl Node {
    /// The node's op, if it is a `T`.
    pub fn op_as<T: Op>(&self) -> Option<&T> {
        self.inferred().map(|(op, _)| op)
    }

    /// The node's op and what it inferred of the node's inputs, if it is a `T`.
    pub fn inferred<T: Op>(&self) -> Option<(&T, &T::Geometry)> {
        let Inferred { op, geometry } = self.applied_as::<Inferred<T>>()?;
        Some((op, geometry))
    }

    /// The node with another op, of that geometry, on the same inputs.
    pub(crate) fn with_op<T: Op>(self, op: T, geometry: T::Geometry) -> Node {
        Node { op: Arc::new(Inferred { op, geometry }), ..self }
    }

    /// What the node holds, if it is a `T`.
    pub fn applied_as<T: Applied>(&self) -> Option<&T> {
        let applied: &dyn Any = &*self.op;
        applied.downcast_ref()
    }
}
