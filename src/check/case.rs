//! A case's graph with its gradients, and the values that go in.

use crate::graph::{Graph, GraphError, Pass, Value};
use crate::ops::card::Case;
use crate::reference::random_tensors;
use crate::tensor::Tensors;

impl Case {
    /// The case's graph; outputs, and gradients where it is differentiated, are the graph's outputs.
    ///
    /// # Errors
    /// When an op refuses the case's shapes.
    pub fn graph(&self) -> Result<Graph, GraphError> {
        let mut graph = Graph::new();
        graph.within(Pass::Forward, self.op, |graph| match (self.build)(graph)? {
            Some(slope) => add_gradients(graph, slope.y, &slope.by),
            None => Ok(()),
        })?;
        Ok(graph)
    }

    /// Values of all inputs, parameters and buffers, the same on every run.
    pub fn tensors(&self, graph: &Graph) -> Tensors {
        let mut tensors = random_tensors(graph, 7, self.classes);
        (self.prepare)(&mut tensors);
        tensors
    }
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
