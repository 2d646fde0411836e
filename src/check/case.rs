//! One op on one shape: a small graph with all its gradients, and the values that go in.

use super::Tolerance;
use crate::graph::{Graph, GraphError, Pass, Value};
use crate::ops::Activation;
use crate::reference::{Tensors, random_tensors};
use crate::tensor::TensorSpec;

/// Every activation, with parameters that are not the defaults.
pub(super) const ACTIVATIONS: [Activation; 10] = [
    Activation::Relu,
    Activation::Relu6,
    Activation::LeakyRelu { negative_slope: 0.1 },
    Activation::Elu { alpha: 1.3 },
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Silu,
    Activation::Gelu,
    Activation::HardSigmoid,
    Activation::HardSwish,
];

/// One op on one shape, with all its gradients.
pub struct Case {
    /// The op's row in the report.
    pub op: &'static str,
    /// Shapes and attributes.
    pub what: String,
    /// How far a device may be from the reference.
    pub tolerance: Tolerance,
    build: Box<Build>,
    prepare: fn(&mut Tensors),
    classes: u32,
}

type Build = dyn Fn(&mut Graph) -> Result<(), GraphError> + Send + Sync;

impl Case {
    /// `op` of what `build` makes; its outputs and gradients are the graph's outputs.
    pub fn new(
        op: &'static str,
        what: impl Into<String>,
        build: impl Fn(&mut Graph) -> Result<(), GraphError> + Send + Sync + 'static,
    ) -> Self {
        let tolerance = Tolerance::default();
        Case { op, what: what.into(), tolerance, build: Box::new(build), prepare: |_| {}, classes: 2 }
    }

    /// What `build` makes of inputs of the given shapes, `x0`, `x1`, ..., with the gradients by them and by
    /// every parameter that it declares.
    pub fn differentiated(
        op: &'static str,
        what: impl Into<String>,
        shapes: Vec<Vec<usize>>,
        build: impl Fn(&mut Graph, &[Value]) -> Result<Value, GraphError> + Send + Sync + 'static,
    ) -> Self {
        Case::new(op, what, move |graph| differentiated(graph, &shapes, &build))
    }

    /// Changes the random inputs before they are used.
    pub fn prepare(mut self, prepare: fn(&mut Tensors)) -> Self {
        self.prepare = prepare;
        self
    }

    /// How far the device may be from the reference.
    pub fn tolerance(mut self, relative: f64, absolute: f64) -> Self {
        self.tolerance = Tolerance { relative, absolute };
        self
    }

    /// Bound of the random class targets.
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = u32::try_from(classes).unwrap_or(u32::MAX);
        self
    }

    /// The case's graph.
    ///
    /// # Errors
    /// When an op refuses the case's shapes.
    pub fn graph(&self) -> Result<Graph, GraphError> {
        let mut graph = Graph::new();
        graph.within(Pass::Forward, self.op, |graph| (self.build)(graph))?;
        Ok(graph)
    }

    /// Values of all inputs, parameters and buffers, the same on every run.
    pub fn tensors(&self, graph: &Graph) -> Tensors {
        let mut tensors = random_tensors(graph, 7, self.classes);
        (self.prepare)(&mut tensors);
        tensors
    }
}

/// One case of inputs of several shapes.
pub(super) fn several(
    op: &'static str,
    what: &str,
    shapes: &[Vec<usize>],
    build: impl Fn(&mut Graph, &[Value]) -> Result<Value, GraphError> + Send + Sync + 'static,
) -> Case {
    Case::differentiated(op, what, shapes.to_vec(), build)
}

/// One case a shape: `build` of an input of that shape.
pub(super) fn unary(
    op: &'static str,
    shapes: &[Vec<usize>],
    build: impl Fn(&mut Graph, Value) -> Result<Value, GraphError> + Send + Sync + Copy + 'static,
) -> Vec<Case> {
    let case = |shape: &Vec<usize>| {
        let shapes = [shape.clone()];
        Case::new(op, format!("x {shape:?}"), move |graph| {
            differentiated(graph, &shapes, |graph, x| build(graph, x[0]))
        })
    };
    shapes.iter().map(case).collect()
}

/// One case a shape: `build` of two inputs of that shape.
pub(super) fn binary(
    op: &'static str,
    shapes: &[Vec<usize>],
    build: impl Fn(&mut Graph, Value, Value) -> Result<Value, GraphError> + Send + Sync + Copy + 'static,
) -> Vec<Case> {
    let case = |shape: &Vec<usize>| {
        let shapes = [shape.clone(), shape.clone()];
        let what = format!("a and b {shape:?}");
        Case::new(op, what, move |graph| differentiated(graph, &shapes, |graph, x| build(graph, x[0], x[1])))
    };
    shapes.iter().map(case).collect()
}

/// Inputs `x0`, `x1`, ... of the given shapes, what `build` makes of them, and its gradients by them
/// and by every parameter that it declares.
pub(super) fn differentiated(
    graph: &mut Graph,
    shapes: &[Vec<usize>],
    build: impl FnOnce(&mut Graph, &[Value]) -> Result<Value, GraphError>,
) -> Result<(), GraphError> {
    let mut wanted = Vec::new();
    for (index, shape) in shapes.iter().enumerate() {
        wanted.push(graph.input(&format!("x{index}"), TensorSpec::f32(shape.clone()))?);
    }
    let y = build(graph, &wanted)?;
    wanted.extend(graph.parameters());
    add_gradients(graph, y, &wanted)
}

/// Names y and its gradients by `wanted` as outputs. The upstream gradient is an input, `dout`, like any
/// other: a rule that takes it for one is seen.
///
/// # Errors
/// When an op on the way to a wanted value has no gradient.
pub fn add_gradients(graph: &mut Graph, y: Value, wanted: &[Value]) -> Result<(), GraphError> {
    let dout = graph.input("dout", graph.spec(y).clone())?;
    let gradients = graph.backward(&[(y, dout)], wanted)?;
    graph.output("y", y);
    for value in wanted {
        let name = graph.tensor(*value).name.clone();
        let rule = || GraphError::attribute("gradient", &name, "the op does not pass it on");
        let gradient = *gradients.get(value).ok_or_else(rule)?;
        graph.output(&format!("gradient of {name}"), gradient);
    }
    Ok(())
}
