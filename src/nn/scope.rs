//! Builds models: layers by name, shapes taken from what flows in.

use crate::graph::{Graph, GraphError, Op, Value};
use crate::ops::{Activation, Add, Reshape};
use crate::tensor::Shape;

/// Whether a graph is for training or for inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Batch statistics, dropout.
    Train,
    /// Running statistics, no dropout.
    Eval,
}

/// A place in a graph under construction; layers get their path from it.
///
/// ```
/// use tilewright::graph::Graph;
/// use tilewright::nn::{Conv2d, Mode, Scope};
/// use tilewright::tensor::TensorSpec;
///
/// let mut graph = Graph::new();
/// let images = graph.input("images", TensorSpec::f32([8, 3, 32, 32]))?;
/// let mut net = Scope::new(&mut graph, Mode::Train);
/// let x = net.scope("layer1").conv2d("conv", images, Conv2d::square(16, 3).padding(1))?;
/// assert_eq!(net.shape(x)[..], [8, 16, 32, 32]);
/// assert!(graph.find("layer1.conv.weight").is_some());
/// # Ok::<(), tilewright::graph::GraphError>(())
/// ```
pub struct Scope<'g> {
    pub(super) graph: &'g mut Graph,
    pub(super) path: String,
    pub(super) mode: Mode,
}

impl<'g> Scope<'g> {
    /// The root of a model.
    pub fn new(graph: &'g mut Graph, mode: Mode) -> Self {
        Scope { graph, path: String::new(), mode }
    }

    /// The place `name` within this one: parameters there are called `name.…`.
    pub fn scope(&mut self, name: impl AsRef<str>) -> Scope<'_> {
        let path = self.path_of(name.as_ref());
        Scope { graph: self.graph, path, mode: self.mode }
    }

    /// Whether it is built to train or to evaluate.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Shape of a value of the graph.
    pub fn shape(&self, x: Value) -> &Shape {
        self.graph.shape(x)
    }

    /// Size of dimension 1.
    pub fn channels(&self, x: Value) -> usize {
        self.shape(x).get(1).copied().unwrap_or(1)
    }

    /// y = f(x).
    ///
    /// # Errors
    /// When the function's slope is no finite number.
    pub fn activation(&mut self, x: Value, function: Activation) -> Result<Value, GraphError> {
        self.apply(function, &[x])
    }

    /// max(x, 0), element by element.
    ///
    /// # Errors
    /// As [`Scope::apply`].
    pub fn relu(&mut self, x: Value) -> Result<Value, GraphError> {
        self.activation(x, Activation::Relu)
    }

    /// a + b, with broadcasting.
    ///
    /// # Errors
    /// When the shapes do not broadcast.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value, GraphError> {
        self.apply(Add, &[a, b])
    }

    /// Logits of an auxiliary classifier, whose loss counts `weight` times into the loss of training.
    pub fn auxiliary(&mut self, logits: Value, weight: f32) {
        self.graph.auxiliary(logits, weight);
    }

    /// Dimensions from the second on as one: [N, C, H, W] to [N, C*H*W].
    ///
    /// # Errors
    /// When the tensor has no dimension.
    pub fn flatten(&mut self, x: Value) -> Result<Value, GraphError> {
        let shape = self.graph.shape(x).clone();
        let batch = *shape.first().ok_or_else(|| GraphError::attribute("flatten", &shape, "a scalar has no batch"))?;
        self.apply(Reshape { shape: [batch, shape.stride(0)].into() }, &[x])
    }

    /// Adds a node of this layer, and gives its first output: the way to an op that has no function here.
    ///
    /// # Errors
    /// As [`Graph::apply`].
    pub fn apply(&mut self, op: impl Op, inputs: &[Value]) -> Result<Value, GraphError> {
        let path = self.path.clone();
        self.apply_in(&path, op, inputs)
    }

    /// Adds a node of layer `path`, and gives its first output.
    pub(super) fn apply_in(&mut self, path: &str, op: impl Op, inputs: &[Value]) -> Result<Value, GraphError> {
        Ok(self.apply_all(path, op, inputs)?[0])
    }

    /// Adds a node of layer `path`, and gives its outputs.
    pub(super) fn apply_all(&mut self, path: &str, op: impl Op, inputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        self.graph.enter_layer(path);
        self.graph.apply(op, inputs)
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        match self.path.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.path),
        }
    }
}
