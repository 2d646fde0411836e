//! Reverse-mode differentiation: the backward pass is more nodes of the same graph.

use crate::graph::{Backward, Graph, GraphError, Pass, Role, Value};
use crate::ops::{Add, Fill};
use std::collections::HashMap;

impl Graph {
    /// Adds the gradients of the scalar `loss` with respect to `wanted`, and gives each one's value.
    ///
    /// Only what lies between `wanted` and the loss is differentiated: frozen parameters and the
    /// first layer's input cost nothing. A wanted value that the loss does not depend on is absent
    /// from the result.
    ///
    /// # Errors
    /// When an op on the way has no gradient.
    pub fn gradients(&mut self, loss: Value, wanted: &[Value]) -> Result<HashMap<Value, Value>, GraphError> {
        let shape = self.shape(loss).clone();
        let one = self.within(Pass::Backward, "loss", |graph| graph.apply_one(Fill { value: 1.0, shape }, &[]))?;
        self.backward(&[(loss, one)], wanted)
    }

    /// As [`Graph::gradients`], from given upstream gradients: `seeds` pairs a value with the
    /// gradient that arrives at it.
    ///
    /// # Errors
    /// When an op on the way has no gradient.
    pub fn backward(
        &mut self,
        seeds: &[(Value, Value)],
        wanted: &[Value],
    ) -> Result<HashMap<Value, Value>, GraphError> {
        Ok(self.backward_in_two(seeds, wanted, 0)?.0)
    }

    /// As [`Graph::backward`], and how many nodes there are once those from node `first` on are differentiated.
    ///
    /// # Errors
    /// As [`Graph::backward`].
    pub(crate) fn backward_in_two(
        &mut self,
        seeds: &[(Value, Value)],
        wanted: &[Value],
        first: usize,
    ) -> Result<(HashMap<Value, Value>, usize), GraphError> {
        let mut halfway = None;
        let needed = self.depends_on(wanted);
        let mut gradients: HashMap<Value, Value> = HashMap::new();
        for &(value, upstream) in seeds {
            self.accumulate(&mut gradients, value, upstream)?;
        }
        for index in (0..self.nodes().len()).rev() {
            if index < first {
                halfway.get_or_insert(self.nodes().len());
            }
            let node = self.nodes()[index].clone();
            let upstream: Vec<Option<Value>> =
                node.outputs.iter().map(|output| gradients.get(output).copied()).collect();
            let wanted: Vec<bool> = node.inputs.iter().map(|input| needed[input.index()]).collect();
            if upstream.iter().all(Option::is_none) || !wanted.contains(&true) {
                continue;
            }
            let inputs = self.within(Pass::Backward, &node.layer, |graph| {
                node.op.gradient(&mut Backward::new(graph, &node, &upstream, &wanted))
            })?;
            debug_assert_eq!(inputs.len(), node.inputs.len(), "{} gives one gradient an input", node.op.name());
            for ((&input, gradient), wanted) in node.inputs.iter().zip(inputs).zip(wanted) {
                if let (Some(gradient), true) = (gradient, wanted) {
                    self.accumulate(&mut gradients, input, gradient)?;
                }
            }
        }
        let halfway = halfway.unwrap_or(self.nodes().len());
        Ok((gradients, halfway))
    }

    /// Which tensors depend on any of `sources` (themselves included).
    fn depends_on(&self, sources: &[Value]) -> Vec<bool> {
        let mut depends = vec![false; self.tensors().len()];
        for source in sources {
            depends[source.index()] = true;
        }
        for node in self.nodes() {
            if node.inputs.iter().any(|input| depends[input.index()]) {
                for output in &node.outputs {
                    depends[output.index()] = true;
                }
            }
        }
        depends
    }

    /// A value used twice gets the sum of its gradients.
    fn accumulate(
        &mut self,
        gradients: &mut HashMap<Value, Value>,
        value: Value,
        gradient: Value,
    ) -> Result<(), GraphError> {
        let total = match gradients.get(&value) {
            None => gradient,
            Some(&sum) => {
                let layer = match self.tensor(value).role {
                    Role::Node { node, .. } => self.nodes()[node].layer.clone(),
                    _ => self.tensor(value).name.clone(),
                };
                self.within(Pass::Backward, &layer, |graph| graph.apply_one(Add, &[sum, gradient]))?
            }
        };
        gradients.insert(value, total);
        Ok(())
    }
}
