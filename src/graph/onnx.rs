//! What nodes are in ONNX, in plain types: an op says it with [`Op::onnx`](super::Op::onnx), and
//! [`interop`](crate::interop) makes a file of it.
//!
//! Our graphs know their batch, ONNX's need not. A graph is looked at as it is for two and for three images: a size that
//! is the same in both does not depend on the batch, one in the ratio 2 : 3 is a multiple of it.

use super::{Graph, Node, Value};
use crate::tensor::Shape;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A size, seen in the graphs for two and for three images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnnxSize {
    /// Whatever the batch is.
    Fixed(usize),
    /// So many times the batch.
    Batch(usize),
}

impl OnnxSize {
    fn of(two: usize, three: usize) -> Result<Self, String> {
        match two {
            _ if two == three => Ok(OnnxSize::Fixed(two)),
            _ if two.is_multiple_of(2) && two / 2 * 3 == three => Ok(OnnxSize::Batch(two / 2)),
            _ => Err(format!("a size of {two} for two images and {three} for three is no multiple of the batch")),
        }
    }
}

/// An attribute of an operator, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxAttribute {
    /// As ONNX calls it, such as `kernel_shape`.
    pub name: &'static str,
    /// What it is set to.
    pub value: OnnxValue,
}

/// What an attribute is set to.
#[derive(Clone, Debug, PartialEq)]
pub enum OnnxValue {
    /// A whole number.
    Int(i64),
    /// A list of whole numbers.
    Ints(Vec<i64>),
    /// A number of f32.
    Float(f32),
    /// A word.
    Text(&'static str),
}

impl OnnxAttribute {
    /// One that is a whole number.
    pub fn int(name: &'static str, value: usize) -> Self {
        OnnxAttribute { name, value: OnnxValue::Int(value as i64) }
    }

    /// One that is a list of whole numbers.
    pub fn ints(name: &'static str, values: impl IntoIterator<Item = usize>) -> Self {
        OnnxAttribute { name, value: OnnxValue::Ints(values.into_iter().map(|value| value as i64).collect()) }
    }

    /// One that is a word.
    pub fn word(name: &'static str, value: &'static str) -> Self {
        OnnxAttribute { name, value: OnnxValue::Text(value) }
    }

    /// One that is a number of f32.
    pub fn float(name: &'static str, value: f32) -> Self {
        OnnxAttribute { name, value: OnnxValue::Float(value) }
    }
}

/// An operator of ONNX on tensors by name.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxOperator {
    /// Such as `Conv`.
    pub kind: &'static str,
    /// Its own name, which no other has.
    pub name: String,
    /// Names of what it reads, in its order.
    pub inputs: Vec<String>,
    /// Name of what it computes.
    pub output: String,
    /// Those that are not left to their defaults.
    pub attributes: Vec<OnnxAttribute>,
}

/// A tensor whose elements the file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum OnnxConstant {
    /// Numbers of f32, row-major.
    Floats {
        /// Sizes of its dimensions, outermost first.
        sizes: Vec<usize>,
        /// As many as the sizes say.
        elements: Vec<f32>,
    },
    /// A list of whole numbers.
    Ints(Vec<i64>),
}

/// An ONNX graph under construction.
pub struct OnnxGraph<'g> {
    two: &'g Graph,
    three: &'g Graph,
    /// Name of the input of images, whose first size is the batch.
    images: &'static str,
    names: HashMap<Value, String>,
    /// In an order in which they can run.
    pub operators: Vec<OnnxOperator>,
    /// By name, so that equal constants are written once.
    pub constants: BTreeMap<String, OnnxConstant>,
    /// Names of operators so far.
    used: HashSet<String>,
}

impl<'g> OnnxGraph<'g> {
    /// Of one graph, as it is for two and for three images.
    pub fn new(two: &'g Graph, three: &'g Graph, images: &'static str) -> Self {
        let (names, used) = (HashMap::new(), HashSet::new());
        OnnxGraph { two, three, images, names, operators: Vec::new(), constants: BTreeMap::new(), used }
    }

    /// Gives a value its name in the file; else it has that of the graph.
    pub fn name(&mut self, value: Value, name: &str) {
        self.names.insert(value, name.to_owned());
    }

    /// Adds the operators of a node of the graph for two images.
    ///
    /// # Errors
    /// Why the node has no counterpart.
    pub fn add(&mut self, node: &Node) -> Result<(), String> {
        node.op.onnx(&mut OnnxNode { graph: self, node })
    }

    fn name_of(&self, value: Value) -> String {
        self.names.get(&value).unwrap_or(&self.two.tensor(value).name).clone()
    }
}

/// A node that is written as operators of ONNX.
pub struct OnnxNode<'a, 'g> {
    graph: &'a mut OnnxGraph<'g>,
    node: &'a Node,
}

impl OnnxNode<'_, '_> {
    /// The names of the node's inputs.
    pub fn inputs(&self) -> Vec<String> {
        self.node.inputs.iter().map(|&value| self.graph.name_of(value)).collect()
    }

    /// Shape of an input, for two images.
    pub fn input_shape(&self, index: usize) -> &Shape {
        self.graph.two.shape(self.node.inputs[index])
    }

    /// Shape of an output, for two images.
    pub fn output_shape(&self, index: usize) -> &Shape {
        self.graph.two.shape(self.node.outputs[index])
    }

    /// Sizes of an input.
    ///
    /// # Errors
    /// When one is no multiple of the batch.
    pub fn input_sizes(&self, index: usize) -> Result<Vec<OnnxSize>, String> {
        self.sizes(self.node.inputs[index])
    }

    /// Sizes of an output.
    ///
    /// # Errors
    /// When one is no multiple of the batch.
    pub fn output_sizes(&self, index: usize) -> Result<Vec<OnnxSize>, String> {
        self.sizes(self.node.outputs[index])
    }

    fn sizes(&self, value: Value) -> Result<Vec<OnnxSize>, String> {
        let (two, three) = (self.graph.two.shape(value), self.graph.three.shape(value));
        two.iter().zip(three.iter()).map(|(&two, &three)| OnnxSize::of(two, three)).collect()
    }

    /// Adds the operator that computes the node's first output.
    pub fn give(&mut self, kind: &'static str, inputs: Vec<String>, attributes: Vec<OnnxAttribute>) {
        let output = self.graph.name_of(self.node.outputs[0]);
        self.push(kind, inputs, attributes, output);
    }

    /// Adds an operator on the way to it, and gives the name of what it computes.
    pub fn step(&mut self, kind: &'static str, inputs: Vec<String>, attributes: Vec<OnnxAttribute>) -> String {
        let output = format!("{}/{}", self.graph.name_of(self.node.outputs[0]), self.graph.operators.len());
        self.push(kind, inputs, attributes, output.clone());
        output
    }

    /// As [`OnnxNode::give`], times `factor`.
    pub fn give_scaled(&mut self, kind: &'static str, inputs: Vec<String>, factor: f32) {
        if factor == 1.0 {
            return self.give(kind, inputs, vec![]);
        }
        let value = self.step(kind, inputs, vec![]);
        let factor = self.scalar(factor);
        self.give("Mul", vec![value, factor], vec![]);
    }

    fn push(&mut self, kind: &'static str, inputs: Vec<String>, attributes: Vec<OnnxAttribute>, output: String) {
        // A layer of several operators numbers them from the second on.
        let layer = &self.node.layer;
        let base = if layer.is_empty() { kind.to_owned() } else { format!("{layer}/{kind}") };
        let numbered = (2..).map(|number| format!("{base}_{number}"));
        let mut names = std::iter::once(base.clone()).chain(numbered);
        let name = names.find(|name| !self.graph.used.contains(name)).unwrap_or(base.clone());
        self.graph.used.insert(name.clone());
        self.graph.operators.push(OnnxOperator { kind, name, inputs, output, attributes });
    }

    /// A constant of f32; gives its name.
    pub fn floats(&mut self, name: &str, sizes: &[usize], elements: Vec<f32>) -> String {
        let constant = OnnxConstant::Floats { sizes: sizes.to_vec(), elements };
        self.graph.constants.insert(name.to_owned(), constant);
        name.to_owned()
    }

    /// A vector of `count` equal elements; gives its name.
    pub fn repeated(&mut self, value: f32, count: usize) -> String {
        self.floats(&format!("constant/{value:?}[{count}]"), &[count], vec![value; count])
    }

    /// A scalar of f32; gives its name.
    pub fn scalar(&mut self, value: f32) -> String {
        self.floats(&format!("constant/{value:?}"), &[], vec![value])
    }

    /// A list of whole numbers; gives its name.
    pub fn ints(&mut self, numbers: impl IntoIterator<Item = i64>) -> String {
        let numbers: Vec<i64> = numbers.into_iter().collect();
        let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let name = format!("constant/[{}]", texts.join(","));
        self.graph.constants.insert(name.clone(), OnnxConstant::Ints(numbers));
        name
    }

    /// A shape as a list of whole numbers, computed at run time where it depends on the batch; gives its name.
    pub fn shape_list(&mut self, sizes: &[OnnxSize]) -> String {
        let fixed = |size: &OnnxSize| match size {
            OnnxSize::Fixed(size) => Some(*size as i64),
            OnnxSize::Batch(_) => None,
        };
        if let Some(fixed) = sizes.iter().map(fixed).collect::<Option<Vec<i64>>>() {
            return self.ints(fixed);
        }
        let pieces = sizes.iter().map(|&size| match size {
            OnnxSize::Fixed(size) => self.ints([size as i64]),
            OnnxSize::Batch(times) => {
                let range = vec![OnnxAttribute::int("start", 0), OnnxAttribute::int("end", 1)];
                let batch = self.step("Shape", vec![self.graph.images.to_owned()], range);
                let times = self.ints([times as i64]);
                self.step("Mul", vec![batch, times], vec![])
            }
        });
        let pieces = pieces.collect();
        self.step("Concat", pieces, vec![OnnxAttribute::int("axis", 0)])
    }
}
