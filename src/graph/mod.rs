//! A static graph of ops: what is computed, before anything says how or where.
//!
//! Nodes stand in the order they were added, which is an order they can run in. A graph knows ops by their trait
//! alone. [`Scope`](crate::nn::Scope) builds the forward pass, and [`passes`](crate::passes) add the backward pass as
//! more nodes and rewrite what they can.

mod dump;
mod error;
mod freeze;
mod init;
mod node;
mod onnx;
mod op;
mod summary;

pub use error::GraphError;
pub use freeze::is_meant;
pub use init::Init;
pub use node::{Node, PACK_ALIGNMENT, Pass, Role, Tensor, Value};
pub use onnx::{OnnxAttribute, OnnxConstant, OnnxGraph, OnnxNode, OnnxOperator, OnnxSize, OnnxValue};
use op::Inferred;
pub use op::{Applied, Backward, Cost, Op};
pub use summary::LayerRow;

use crate::tensor::{Shape, TensorSpec};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Beyond any memory, and so far below what can be counted that sizes, bytes and costs of a graph do not overflow.
const MOST_ELEMENTS: usize = 1 << if usize::BITS < 64 { 28 } else { 40 };

/// A static computation graph.
///
/// ```
/// use tilewright::graph::{Graph, Init};
/// use tilewright::ops::Linear;
/// use tilewright::tensor::TensorSpec;
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", TensorSpec::f32([2, 3]))?;
/// let weight = graph.parameter("weight", [4, 3], Init::ONES)?;
/// let y = graph.apply_one(Linear, &[x, weight])?;
/// graph.output("y", y);
/// assert_eq!(graph.shape(y)[..], [2, 4]);
/// // Shapes are checked as it is built.
/// let narrow = graph.input("narrow", TensorSpec::f32([2, 5]))?;
/// assert!(graph.apply_one(Linear, &[narrow, weight]).is_err());
/// # Ok::<(), tilewright::graph::GraphError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Graph {
    tensors: Vec<Tensor>,
    nodes: Vec<Node>,
    named: HashMap<String, Value>,
    outputs: Vec<(String, Value)>,
    layer: String,
    pass: Option<Pass>,
    /// Patterns of what is not trained, and names that they do not mean.
    frozen: (Vec<String>, BTreeSet<String>),
    auxiliary: Vec<(Value, f32)>,
}

impl Graph {
    /// A graph without nodes.
    pub fn new() -> Self {
        Graph::default()
    }

    /// A tensor that every run is given under `name`.
    ///
    /// # Errors
    /// When another input, parameter or buffer has the name.
    pub fn input(&mut self, name: &str, spec: TensorSpec) -> Result<Value, GraphError> {
        self.named_tensor(name, spec, Role::Input)
    }

    /// A learned tensor of f32 under its state_dict name.
    ///
    /// # Errors
    /// When another input, parameter or buffer has the name.
    pub fn parameter(&mut self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Value, GraphError> {
        let trainable = !self.is_frozen(name);
        self.named_tensor(name, TensorSpec::f32(shape), Role::Parameter { init, trainable })
    }

    /// A tensor of f32 that lives on between runs and is written by ops.
    ///
    /// # Errors
    /// When another input, parameter or buffer has the name.
    pub fn buffer(&mut self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Value, GraphError> {
        self.named_tensor(name, TensorSpec::f32(shape), Role::Buffer { init, saved: true })
    }

    /// As [`Graph::buffer`], of no use in a checkpoint.
    ///
    /// # Errors
    /// When another input, parameter or buffer has the name.
    pub fn transient_buffer(&mut self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Value, GraphError> {
        self.named_tensor(name, TensorSpec::f32(shape), Role::Buffer { init, saved: false })
    }

    /// The members as one flat tensor, each at a multiple of [`PACK_ALIGNMENT`] elements.
    ///
    /// A member is either a parameter or buffer, or the output of one node; it is in one pack only.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn pack(&mut self, name: &str, members: &[Value]) -> Result<Value, GraphError> {
        let mut offsets = Vec::with_capacity(members.len());
        let mut end = 0;
        for &member in members {
            offsets.push(end);
            end += self.shape(member).elements().next_multiple_of(PACK_ALIGNMENT);
        }
        self.named_tensor(name, TensorSpec::f32([end]), Role::Pack { members: members.to_vec(), offsets })
    }

    /// Adds a node that applies `op` to `inputs`, and gives its outputs.
    ///
    /// # Errors
    /// When the op's shape rule refuses the inputs; the error names the layer, the shapes and the rule.
    pub fn apply(&mut self, op: impl Op, inputs: &[Value]) -> Result<Vec<Value>, GraphError> {
        let specs: Vec<&TensorSpec> = inputs.iter().map(|&value| self.spec(value)).collect();
        let (outputs, geometry) = op.infer(&specs).map_err(|rule| GraphError::Shape {
            layer: self.layer.clone(),
            op: op.name(),
            inputs: specs.iter().map(|spec| spec.shape.clone()).collect(),
            rule,
        })?;
        let node = self.nodes.len();
        let outputs: Vec<Value> = (0..)
            .zip(outputs)
            .map(|(output, spec)| {
                let name = format!("{}.{}#{node}.{output}", self.layer, op.name());
                let tensor = Tensor { name, spec, role: Role::Node { node, output } };
                Graph::expect_countable(&tensor)?;
                Ok(self.tensor_of(tensor))
            })
            .collect::<Result<_, _>>()?;
        self.nodes.push(Node {
            op: Arc::new(Inferred { op, geometry }),
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
            layer: self.layer.clone(),
            pass: self.pass.unwrap_or(Pass::Forward),
        });
        Ok(outputs)
    }

    /// As [`Graph::apply`] for an op with one output.
    ///
    /// # Errors
    /// As [`Graph::apply`].
    pub fn apply_one(&mut self, op: impl Op, inputs: &[Value]) -> Result<Value, GraphError> {
        Ok(self.apply(op, inputs)?[0])
    }

    /// Adds a node of another graph, on inputs of this one with the same shapes; gives its outputs.
    pub(crate) fn copy_node(&mut self, from: &Graph, node: &Node, inputs: Vec<Value>) -> Vec<Value> {
        let index = self.nodes.len();
        let copy = |(output, &old): (usize, &Value)| {
            let role = Role::Node { node: index, output };
            self.tensor_of(Tensor { role, ..from.tensor(old).clone() })
        };
        let outputs: Vec<Value> = node.outputs.iter().enumerate().map(copy).collect();
        self.nodes.push(Node { inputs, outputs: outputs.clone(), ..node.clone() });
        outputs
    }

    /// Adds an input, parameter, buffer or pack of another graph, whose name is free in this one.
    pub(crate) fn copy_tensor(&mut self, tensor: &Tensor) -> Value {
        let copy = self.tensor_of(tensor.clone());
        self.named.insert(tensor.name.clone(), copy);
        copy
    }

    /// Puts `node` in the place of node `index`, whose outputs it has.
    pub(crate) fn replace_node(&mut self, index: usize, node: Node) {
        self.nodes[index] = node;
    }

    /// A tensor like `value`, for a node that computes it again.
    pub(crate) fn twin(&mut self, value: Value) -> Value {
        self.tensor_of(self.tensor(value).clone())
    }

    /// Puts `nodes` in the place of all nodes. Each is one of them or has outputs of its own, and follows what it reads.
    pub(crate) fn set_nodes(&mut self, nodes: Vec<Node>) {
        for (node, outputs) in nodes.iter().map(|node| &node.outputs).enumerate() {
            for (output, &value) in outputs.iter().enumerate() {
                self.tensor_mut(value).role = Role::Node { node, output };
            }
        }
        self.nodes = nodes;
    }

    /// The layer that nodes are added to, such as `layer1.0.conv1`.
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// In which layer the nodes lie that are added from now on.
    pub(crate) fn enter_layer(&mut self, path: &str) {
        path.clone_into(&mut self.layer);
    }

    /// Names a value that callers read after a run; what no output and no update needs is not computed.
    pub fn output(&mut self, name: &str, value: Value) {
        self.outputs.push((name.to_owned(), value));
    }

    /// Leaves untrained what is added from now on and meant by one of `patterns` ([`is_meant`]), except
    /// the parameters named in `except`: it gets no gradient and no optimizer state, and a batch norm
    /// keeps its running statistics and normalises by them.
    pub fn freeze(&mut self, patterns: &[String], except: BTreeSet<String>) {
        self.frozen = (patterns.to_vec(), except);
    }

    /// Whether a parameter of that name is not to be trained.
    pub fn is_frozen(&self, name: &str) -> bool {
        let (patterns, except) = &self.frozen;
        !except.contains(name) && patterns.iter().any(|pattern| is_meant(pattern, name))
    }

    /// Adds logits whose loss counts, times `weight`, into the loss of training.
    pub fn auxiliary(&mut self, logits: Value, weight: f32) {
        self.auxiliary.push((logits, weight));
    }

    /// Logits besides the model's own, with the weights of their losses.
    pub fn auxiliaries(&self) -> &[(Value, f32)] {
        &self.auxiliary
    }

    /// All nodes, in an order in which they can run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All tensors: that of a [`Value`] stands at its index.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// What a run gives back, by name.
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.outputs
    }

    /// What the value stands for.
    pub fn tensor(&self, value: Value) -> &Tensor {
        &self.tensors[value.index()]
    }

    pub(crate) fn tensor_mut(&mut self, value: Value) -> &mut Tensor {
        &mut self.tensors[value.index()]
    }

    /// Shape and element type of the value.
    pub fn spec(&self, value: Value) -> &TensorSpec {
        &self.tensors[value.index()].spec
    }

    /// Shape of the value.
    pub fn shape(&self, value: Value) -> &Shape {
        &self.spec(value).shape
    }

    /// The input, parameter, buffer or pack of that name.
    pub fn find(&self, name: &str) -> Option<Value> {
        self.named.get(name).copied()
    }

    /// All values, in the order they were made.
    pub fn values(&self) -> impl Iterator<Item = Value> + use<> {
        (0..self.tensors.len() as u32).map(Value)
    }

    /// The parameters, in the order the model declares them.
    pub fn parameters(&self) -> impl Iterator<Item = Value> + '_ {
        self.values().filter(|&value| matches!(self.tensor(value).role, Role::Parameter { .. }))
    }

    /// The parameters an optimizer may write.
    pub fn trainable(&self) -> impl Iterator<Item = Value> + '_ {
        self.values().filter(|&value| matches!(self.tensor(value).role, Role::Parameter { trainable: true, .. }))
    }

    /// The tensors that live on between runs and are not parameters.
    pub fn buffers(&self) -> impl Iterator<Item = Value> + '_ {
        self.values().filter(|&value| matches!(self.tensor(value).role, Role::Buffer { .. }))
    }

    /// `61706 parameters`, or where some stay as they start `1539 of 11178051 parameters trained`.
    pub fn parameters_text(&self) -> String {
        let trained = self.parameter_count();
        let all: usize = self.parameters().map(|value| self.shape(value).elements()).sum();
        match trained == all {
            true => format!("{trained} parameters"),
            false => format!("{trained} of {all} parameters trained"),
        }
    }

    /// Number of elements of all trainable parameters.
    pub fn parameter_count(&self) -> usize {
        self.trainable().map(|value| self.shape(value).elements()).sum()
    }

    /// Runs `build` with its nodes marked as part of `pass`, in layer `layer`.
    pub fn within<T>(&mut self, pass: Pass, layer: &str, build: impl FnOnce(&mut Graph) -> T) -> T {
        let before = (self.pass.replace(pass), std::mem::replace(&mut self.layer, layer.to_owned()));
        let result = build(self);
        (self.pass, self.layer) = before;
        result
    }

    /// The value whose memory `value` shares: itself, unless a view made it.
    pub(crate) fn storage_of(&self, mut value: Value) -> Value {
        while let Role::Node { node, .. } = self.tensor(value).role {
            let node = &self.nodes[node];
            if !node.op.is_view() {
                break;
            }
            value = node.inputs[0];
        }
        value
    }

    /// The buffer of that name, which is made where there is none.
    ///
    /// # Errors
    /// When the shape has more elements than can be counted.
    pub(crate) fn buffer_of(&mut self, name: &str, shape: Shape, init: Init) -> Result<Value, GraphError> {
        match self.find(name) {
            Some(buffer) => Ok(buffer),
            None => self.buffer(name, shape, init),
        }
    }

    /// The last node that writes the value, or one of a pack's members.
    pub(crate) fn last_writer(&self, value: Value) -> usize {
        let value = self.storage_of(value);
        match &self.tensor(value).role {
            Role::Node { node, .. } => *node,
            Role::Pack { members, .. } => {
                members.iter().map(|&member| self.last_writer(member)).max().unwrap_or_default()
            }
            _ => self.nodes.iter().rposition(|node| self.updates(node, value)).unwrap_or_default(),
        }
    }

    fn updates(&self, node: &Node, value: Value) -> bool {
        let is_meant = |input: Value| match &self.tensor(input).role {
            Role::Pack { members, .. } => members.contains(&value),
            _ => input == value,
        };
        node.op.updates().iter().any(|&input| is_meant(node.inputs[input]))
    }

    /// Which nodes must run for the outputs and the updates: the others are dead.
    pub fn live_nodes(&self) -> Vec<bool> {
        let mut wanted = vec![false; self.tensors.len()];
        let mut live = vec![false; self.nodes.len()];
        for &(_, value) in &self.outputs {
            self.want(value, &mut wanted);
        }
        for (index, node) in self.nodes.iter().enumerate().rev() {
            let updates = !node.op.updates().is_empty();
            if updates || node.outputs.iter().any(|output| wanted[output.index()]) {
                live[index] = true;
                for &input in &node.inputs {
                    self.want(input, &mut wanted);
                }
            }
        }
        live
    }

    /// How many live nodes, packs and outputs of the graph read each tensor.
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.tensors.len()];
        let mut read = |value: Value| readers[value.index()] += 1;
        let live = self.live_nodes();
        let nodes = self.nodes.iter().zip(live).filter_map(|(node, live)| live.then_some(node));
        nodes.flat_map(|node| &node.inputs).for_each(|&value| read(value));
        self.outputs.iter().for_each(|&(_, value)| read(value));
        for tensor in &self.tensors {
            if let Role::Pack { members, .. } = &tensor.role {
                members.iter().for_each(|&value| read(value));
            }
        }
        readers
    }

    fn want(&self, value: Value, wanted: &mut [bool]) {
        wanted[value.index()] = true;
        if let Role::Pack { members, .. } = &self.tensor(value).role {
            for &member in members {
                wanted[member.index()] = true;
            }
        }
    }

    fn named_tensor(&mut self, name: &str, spec: TensorSpec, role: Role) -> Result<Value, GraphError> {
        if self.named.contains_key(name) {
            return Err(GraphError::DuplicateName { name: name.to_owned() });
        }
        let tensor = Tensor { name: name.to_owned(), spec, role };
        Graph::expect_countable(&tensor)?;
        let value = self.tensor_of(tensor);
        self.named.insert(name.to_owned(), value);
        Ok(value)
    }

    fn tensor_of(&mut self, tensor: Tensor) -> Value {
        self.tensors.push(tensor);
        Value(self.tensors.len() as u32 - 1)
    }

    /// # Errors
    /// When a tensor would be larger than can be counted with.
    fn expect_countable(tensor: &Tensor) -> Result<(), GraphError> {
        let shape = &tensor.spec.shape;
        match shape.elements() > MOST_ELEMENTS || shape.iter().any(|&size| size > MOST_ELEMENTS) {
            true => Err(GraphError::TooLarge { name: tensor.name.clone(), shape: shape.clone(), most: MOST_ELEMENTS }),
            false => Ok(()),
        }
    }
}
