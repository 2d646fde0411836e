//! Nodes and constants of an ONNX graph under construction.

use super::super::StateDict;
use super::schema::{AttributeProto, NodeProto, TensorProto};
use super::{IMAGES, schema};
use crate::graph::{Graph, Node, Value};
use crate::tensor::Shape;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A size, seen in the graphs for two and for three images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Fixed(usize),
    /// So many times the batch.
    Batch(usize),
}

impl Size {
    fn of(two: usize, three: usize) -> Result<Size, String> {
        match two {
            _ if two == three => Ok(Size::Fixed(two)),
            _ if two.is_multiple_of(2) && two / 2 * 3 == three => Ok(Size::Batch(two / 2)),
            _ => Err(format!("a size of {two} for two images and {three} for three is no multiple of the batch")),
        }
    }
}

pub(super) struct Writer<'g> {
    graph: &'g Graph,
    other: &'g Graph,
    names: HashMap<Value, String>,
    nodes: Vec<NodeProto>,
    /// By name, so that equal constants are written once.
    constants: BTreeMap<String, TensorProto>,
    /// Names of nodes so far.
    used: HashSet<String>,
}

impl<'g> Writer<'g> {
    pub(super) fn new(graph: &'g Graph, other: &'g Graph) -> Self {
        Writer {
            graph,
            other,
            names: HashMap::new(),
            nodes: Vec::new(),
            constants: BTreeMap::new(),
            used: HashSet::new(),
        }
    }

    /// Gives a value its name in the file.
    pub(super) fn name(&mut self, value: Value, name: &str) {
        self.names.insert(value, name.to_owned());
    }

    pub(super) fn shape(&self, value: Value) -> &'g Shape {
        self.graph.shape(value)
    }

    /// The sizes of a value.
    pub(super) fn sizes(&self, value: Value) -> Result<Vec<Size>, String> {
        sizes(self.graph.shape(value), self.other.shape(value))
    }

    /// The name of a value.
    pub(super) fn of(&self, value: Value) -> String {
        self.names.get(&value).unwrap_or(&self.graph.tensor(value).name).clone()
    }

    /// Adds the node that computes the first output of `node` from `inputs`.
    pub(super) fn give(&mut self, node: &Node, op: &str, inputs: Vec<String>, attributes: Vec<AttributeProto>) {
        let output = self.of(node.outputs[0]);
        self.push(node, op, inputs, attributes, output);
    }

    /// Adds a node on the way to `node`'s output, and gives the name of what it computes.
    pub(super) fn step(
        &mut self,
        node: &Node,
        op: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = format!("{}/{}", self.of(node.outputs[0]), self.nodes.len());
        self.push(node, op, inputs, attributes, output.clone());
        output
    }

    fn push(&mut self, node: &Node, op_type: &str, input: Vec<String>, attribute: Vec<AttributeProto>, output: String) {
        // A layer of several nodes numbers them from the second on.
        let base = if node.layer.is_empty() { op_type.to_owned() } else { format!("{}/{op_type}", node.layer) };
        let numbered = (2..).map(|number| format!("{base}_{number}"));
        let mut names = std::iter::once(base.clone()).chain(numbered);
        let name = names.find(|name| !self.used.contains(name)).unwrap_or(base.clone());
        self.used.insert(name.clone());
        self.nodes.push(NodeProto { input, output: vec![output], name, op_type: op_type.to_owned(), attribute });
    }

    /// A constant of f32.
    pub(super) fn floats(&mut self, name: &str, dims: &[usize], data: &[f32]) -> String {
        self.constants.insert(name.to_owned(), TensorProto::floats(name, dims, data));
        name.to_owned()
    }

    /// A scalar of f32.
    pub(super) fn scalar(&mut self, value: f32) -> String {
        self.floats(&format!("constant/{value:?}"), &[], &[value])
    }

    /// A list of whole numbers.
    pub(super) fn ints(&mut self, data: &[i64]) -> String {
        let numbers: Vec<String> = data.iter().map(i64::to_string).collect();
        let name = format!("constant/[{}]", numbers.join(","));
        self.constants.insert(name.clone(), TensorProto::ints(&name, data));
        name
    }

    /// A shape as a list of whole numbers, computed at run time where it depends on the batch.
    pub(super) fn shape_list(&mut self, node: &Node, sizes: &[Size]) -> String {
        if let Some(fixed) = fixed(sizes) {
            return self.ints(&fixed);
        }
        let pieces = sizes.iter().map(|&size| match size {
            Size::Fixed(size) => self.ints(&[size as i64]),
            Size::Batch(times) => {
                let range = vec![AttributeProto::int("start", 0), AttributeProto::int("end", 1)];
                let batch = self.step(node, "Shape", vec![IMAGES.to_owned()], range);
                let times = self.ints(&[times as i64]);
                self.step(node, "Mul", vec![batch, times], vec![])
            }
        });
        let pieces = pieces.collect();
        self.step(node, "Concat", pieces, vec![AttributeProto::int("axis", 0)])
    }

    /// The nodes, and the weights and constants that they read.
    pub(super) fn finish(self, weights: &StateDict) -> (Vec<NodeProto>, Vec<TensorProto>) {
        let read: HashSet<&str> = self.nodes.iter().flat_map(|node| &node.input).map(String::as_str).collect();
        let weights = weights.iter().filter(|(name, _)| read.contains(name.as_str()));
        let weights = weights.map(|(name, (shape, data))| schema::TensorProto::floats(name, shape, data));
        let initializers = weights.chain(self.constants.into_values()).collect();
        (self.nodes, initializers)
    }
}

/// Sizes of a shape that is `two` for two images and `three` for three.
pub(super) fn sizes(two: &[usize], three: &[usize]) -> Result<Vec<Size>, String> {
    two.iter().zip(three).map(|(&two, &three)| Size::of(two, three)).collect()
}

/// The sizes, where none depends on the batch.
fn fixed(sizes: &[Size]) -> Option<Vec<i64>> {
    let number = |size: &Size| match size {
        Size::Fixed(size) => Some(*size as i64),
        Size::Batch(_) => None,
    };
    sizes.iter().map(number).collect()
}
