//! Every op the engine knows, one file each: what it is, its shape rule, its gradient, its plain
//! reference, its launch on the GPU and its cost.
//!
//! To add an op, write one file here and one folder under `shaders/`, and name the file below.

mod activation;
mod batch_norm;
mod broadcast;
pub mod catalog;
mod conv;
mod cross_entropy;
mod dropout;
mod elementwise;
mod epilogue;
mod layout;
mod local_response_norm;
mod losses;
mod matmul;
mod pool;
mod reduce;
mod shape;
mod softmax;
mod walk;

pub use activation::{Activation, ActivationBackward};
pub use batch_norm::{BatchNormInputGradient, BatchNormSums, BatchNormalize, BatchStatistics, UpdateRunningStatistics};
pub use broadcast::{BroadcastTo, SumTo};
pub use conv::{Conv2d, ConvGeometry, ConvInputGradient, ConvWeightGradient, Linear, output_size};
pub use conv::{ConvKernels, ConvPass, ConvShape, ConvTable};
pub use cross_entropy::{CountCorrect, CrossEntropy, CrossEntropyBackward, IGNORED_TARGET, RecordMetrics};
pub use dropout::Dropout;
pub use elementwise::{Add, Copy, Fill, Mul, Scale};
pub use epilogue::Activated;
pub use layout::{Concat, Permute, Slice, ZeroPad};
pub use local_response_norm::{LocalResponseNorm, LocalResponseNormBackward};
pub use losses::{Loss, LossBackward};
pub use matmul::MatMul;
pub use pool::{AdaptiveAvgPool2d, AdaptiveAvgPoolBackward, AvgPool2d, AvgPoolBackward, MaxPool2d, MaxPoolBackward};
pub use reduce::ChannelSum;
pub(crate) use reduce::sum_parts;
pub use shape::Reshape;
pub use softmax::{Softmax, SoftmaxBackward};

use crate::graph::{Graph, GraphError, Node, Value};
use crate::plan::{Launch, PlanError};
use crate::tensor::{HostTensor, Shape, TensorSpec};
use std::any::Any;
use std::fmt::Debug;

/// One kind of node. A backward op is an op like any other.
pub trait Op: Any + Debug + Send + Sync {
    /// The op's name, as in the table of docs/ops.md.
    fn name(&self) -> &'static str;

    /// Shapes and types of the outputs, or the rule that the inputs break.
    fn infer(&self, inputs: &[&TensorSpec]) -> Result<Vec<TensorSpec>, String>;

    /// Adds nodes that compute the gradient of each input, `None` where an input has none or it is
    /// not wanted.
    fn gradient(&self, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        Err(backward.not_differentiable())
    }

    /// Computes the op on the host, in plain loops with f64 accumulation: the judge of the shaders.
    ///
    /// `outputs` holds the op's outputs, zeroed, and then the inputs that [`Op::updates`] names, as
    /// they are before the op.
    fn reference(&self, inputs: &[&HostTensor], outputs: &mut [HostTensor], shapes: &Shapes<'_>);

    /// Adds the dispatches that compute the op on the GPU.
    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), PlanError>;

    /// What the op costs; by default only the reading of its inputs and the writing of its outputs.
    fn cost(&self, shapes: &Shapes<'_>) -> Cost {
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

    /// Whether the output is the input's memory under another shape.
    fn is_view(&self) -> bool {
        false
    }
}

/// The shapes an op works on.
pub struct Shapes<'a> {
    pub inputs: Vec<&'a Shape>,
    pub outputs: Vec<&'a Shape>,
}

impl Shapes<'_> {
    /// Bytes of all inputs and outputs.
    pub fn bytes(&self) -> u64 {
        self.inputs.iter().chain(&self.outputs).map(|shape| shape.elements() as u64 * 4).sum()
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

    pub fn input(&self, index: usize) -> Value {
        self.node.inputs[index]
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.node.inputs.len()
    }

    pub fn output(&self, index: usize) -> Value {
        self.node.outputs[index]
    }

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

    pub fn apply(&mut self, op: impl Op + 'static, inputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        self.graph.apply(op, inputs)
    }

    pub fn apply_one(&mut self, op: impl Op + 'static, inputs: &[Value]) -> Result<Value, GraphError> {
        self.graph.apply_one(op, inputs)
    }

    pub fn not_differentiable(&self) -> GraphError {
        GraphError::NotDifferentiable { layer: self.node.layer.clone(), op: self.node.op.name() }
    }
}

/// Checks the number of inputs of an op.
pub(crate) fn expect_inputs(inputs: &[&TensorSpec], count: usize) -> Result<(), String> {
    match inputs.len() == count {
        true => Ok(()),
        false => Err(format!("it takes {count} inputs, not {}", inputs.len())),
    }
}

/// Checks an attribute that becomes a constant of a kernel.
pub(crate) fn expect_finite(attribute: &str, value: f32) -> Result<(), String> {
    match value.is_finite() {
        true => Ok(()),
        false => Err(format!("its {attribute} is {value}, but must be a finite number")),
    }
}

/// The four sizes of an image tensor.
pub(crate) fn expect_nchw(spec: &TensorSpec) -> Result<[usize; 4], String> {
    spec.shape.nchw().ok_or_else(|| "it takes images of shape [N, C, H, W]".to_owned())
}
