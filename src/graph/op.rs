//! What a graph's nodes are made of: the trait of all ops, and how one is differentiated.

use super::{Graph, GraphError, Node, OnnxNode, Value};
use crate::kernel::{Launch, Unsupported};
use crate::tensor::{HostTensor, Shape, Shapes, TensorSpec};
use std::any::Any;
use std::fmt::Debug;

/// One kind of node. A backward op is an op like any other.
///
/// What [`Op::infer`] finds out of the inputs' shapes is kept in a type, and given to all that comes after it.
pub trait Op: Any + Debug + Send + Sync {
    /// What the shape rule finds: the sizes of a convolution, a walk through memory; `()` where there is nothing.
    type Geometry: Debug + Send + Sync;

    /// The op's name, as in the table of docs/ops.md.
    fn name(&self) -> &'static str;

    /// Shapes and types of the outputs and the geometry of the op on these inputs, or the rule that they break.
    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String>;

    /// Adds nodes that compute the gradient of each input, `None` where an input has none or it is
    /// not wanted.
    fn gradient(&self, _: &Self::Geometry, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        Err(backward.not_differentiable())
    }

    /// Computes the op on the host, in plain loops with f64 accumulation: the judge of the shaders.
    ///
    /// `outputs` holds the op's outputs, zeroed, and then the inputs that [`Op::updates`] names, as
    /// they are before the op.
    fn reference(&self, geometry: &Self::Geometry, inputs: &[&HostTensor], outputs: &mut [HostTensor]);

    /// Adds the dispatches that compute the op on the GPU.
    fn launch(&self, geometry: &Self::Geometry, launch: &mut Launch<'_>) -> Result<(), Unsupported>;

    /// What the op costs; by default only the reading of its inputs and the writing of its outputs.
    fn cost(&self, _: &Self::Geometry, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 0, bytes: shapes.bytes() }
    }

    /// Which inputs the op writes in place. Such an op always runs; its targets are parameters,
    /// buffers or packs.
    fn updates(&self) -> &'static [usize] {
        &[]
    }

    /// Whether the op's last kernels can apply an activation to what they store: those that the op
    /// passes through [`Launch::epilogue`].
    fn takes_activation(&self) -> bool {
        false
    }

    /// Whether the first output may be stored in f16 where features are: it is one, or the gradient of one. Statistics,
    /// losses and gradients of parameters are not.
    fn keeps_half(&self) -> bool {
        false
    }

    /// Whether the output is the input's memory under another shape.
    fn is_view(&self) -> bool {
        false
    }

    /// Adds the operators of ONNX that compute the same, of operator set 17.
    ///
    /// # Errors
    /// Why there are none; so for every op that does not say otherwise.
    fn onnx(&self, _: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        Err(NOT_IN_ONNX.to_owned())
    }
}

const NOT_IN_ONNX: &str = "it has no counterpart there, or is only for training";

/// An [`Op`] on inputs of certain shapes: what a node holds. Its methods are the op's, with the geometry that it
/// inferred.
pub trait Applied: Any + Debug + Send + Sync {
    /// As [`Op::name`].
    fn name(&self) -> &'static str;

    /// As [`Op::gradient`].
    ///
    /// # Errors
    /// When the op has no gradient.
    fn gradient(&self, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError>;

    /// As [`Op::reference`].
    fn reference(&self, inputs: &[&HostTensor], outputs: &mut [HostTensor]);

    /// As [`Op::launch`].
    ///
    /// # Errors
    /// What the device cannot run.
    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), Unsupported>;

    /// As [`Op::cost`].
    fn cost(&self, shapes: &Shapes<'_>) -> Cost;

    /// As [`Op::updates`].
    fn updates(&self) -> &'static [usize] {
        &[]
    }

    /// As [`Op::takes_activation`].
    fn takes_activation(&self) -> bool {
        false
    }

    /// As [`Op::keeps_half`].
    fn keeps_half(&self) -> bool {
        false
    }

    /// As [`Op::is_view`].
    fn is_view(&self) -> bool {
        false
    }

    /// As [`Op::onnx`].
    ///
    /// # Errors
    /// Why the op has no counterpart.
    fn onnx(&self, _: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        Err(NOT_IN_ONNX.to_owned())
    }
}

/// An op and what it inferred.
#[derive(Debug)]
pub(super) struct Inferred<O: Op> {
    pub(super) op: O,
    pub(super) geometry: O::Geometry,
}

impl<O: Op> Applied for Inferred<O> {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn gradient(&self, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        self.op.gradient(&self.geometry, backward)
    }

    fn reference(&self, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        self.op.reference(&self.geometry, inputs, outputs);
    }

    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        self.op.launch(&self.geometry, launch)
    }

    fn cost(&self, shapes: &Shapes<'_>) -> Cost {
        self.op.cost(&self.geometry, shapes)
    }

    fn updates(&self) -> &'static [usize] {
        self.op.updates()
    }

    fn takes_activation(&self) -> bool {
        self.op.takes_activation()
    }

    fn keeps_half(&self) -> bool {
        self.op.keeps_half()
    }

    fn is_view(&self) -> bool {
        self.op.is_view()
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        self.op.onnx(node)
    }
}

/// Work of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating point operations; a multiply-add counts as two.
    pub flops: u64,
    /// Bytes that must cross the memory bus at least: every input once, every output once.
    pub bytes: u64,
}

/// The node being differentiated, and the graph its gradient is added to.
pub struct Backward<'a> {
    graph: &'a mut Graph,
    node: &'a Node,
    upstream: &'a [Option<Value>],
    wanted: &'a [bool],
}

impl<'a> Backward<'a> {
    pub(crate) fn new(graph: &'a mut Graph, node: &'a Node, upstream: &'a [Option<Value>], wanted: &'a [bool]) -> Self {
        Backward { graph, node, upstream, wanted }
    }

    /// The node's input, from 0: what the op was applied to.
    pub fn input(&self, index: usize) -> Value {
        self.node.inputs[index]
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.node.inputs.len()
    }

    /// The node's output, from 0: what the op computed.
    pub fn output(&self, index: usize) -> Value {
        self.node.outputs[index]
    }

    /// Shape of a value of the graph.
    pub fn shape(&self, value: Value) -> &Shape {
        self.graph.shape(value)
    }

    /// Whether the gradient of an input is used by anyone.
    pub fn wants(&self, input: usize) -> bool {
        self.wanted[input]
    }

    /// The gradient that arrives at the op's first output.
    pub fn upstream(&self) -> Option<Value> {
        self.upstream[0]
    }

    /// Adds a node of the backward pass, and gives its outputs.
    ///
    /// # Errors
    /// When the op refuses the inputs.
    pub fn apply(&mut self, op: impl Op, inputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        self.graph.apply(op, inputs)
    }

    /// As [`Backward::apply`], for an op with one output.
    ///
    /// # Errors
    /// As [`Backward::apply`].
    pub fn apply_one(&mut self, op: impl Op, inputs: &[Value]) -> Result<Value, GraphError> {
        self.graph.apply_one(op, inputs)
    }

    /// The error of an op that has no gradient.
    pub fn not_differentiable(&self) -> GraphError {
        GraphError::NotDifferentiable { layer: self.node.layer.clone(), op: self.node.op.name() }
    }
}
