//! The backward pass of an activation as part of that of the batch norm before it.

use crate::graph::{Graph, Node, Role, Value};
use crate::ops::{Activation, ActivationBackward, BatchNormInputGradient, BatchNormSums, BatchNormalize};

impl Graph {
    /// Lets the gradients of a batch norm go through the activation after it by themselves, where nothing else reads the
    /// gradient between the two and the batch norm has statistics of the batch.
    ///
    /// They compute the batch norm's output anew, of the x that they read in any case: a gradient less is written and read,
    /// and an activation that differentiates from its input no longer keeps that.
    pub(super) fn fuse_gradients(&self) -> Graph {
        let readers = self.readers();
        let mut graph = self.clone();
        for node in self.nodes() {
            let Some(norm) = self.norm_before(node) else { continue };
            let Some(&ActivationBackward(activation)) = node.op_as() else { continue };
            let (between, dy) = (node.outputs[0], node.inputs[1]);
            let fused: Vec<(usize, Node)> = self
                .nodes()
                .iter()
                .enumerate()
                .filter_map(|(index, reader)| Some((index, through(reader, between, dy, norm, activation)?)))
                .collect();
            if readers[between.index()] == fused.len() {
                fused.into_iter().for_each(|(index, node)| graph.replace_node(index, node));
            }
        }
        graph
    }

    /// The batch norm whose output an activation was applied to, of the activation's gradient.
    fn norm_before(&self, gradient: &Node) -> Option<&Node> {
        let &ActivationBackward(activation) = gradient.op_as()?;
        let mut before = self.node_of(gradient.inputs[0])?;
        if activation.sees_output() {
            (before.op_as::<Activation>()? == &activation).then_some(())?;
            before = self.node_of(before.inputs[0])?;
        }
        before.op_as::<BatchNormalize>()?.batch_statistics.then_some(before)
    }

    fn node_of(&self, value: Value) -> Option<&Node> {
        match self.tensor(value).role {
            Role::Node { node, .. } => Some(&self.nodes()[node]),
            _ => None,
        }
    }
}

/// A gradient of `norm` that reads `between`, as one that reads `dy` and goes through `activation`.
fn through(reader: &Node, between: Value, dy: Value, norm: &Node, activation: Activation) -> Option<Node> {
    let x = norm.inputs[0];
    let activation = Some(activation);
    let mut node = reader.clone();
    if let Some((&BatchNormSums { eps, .. }, &layout)) = reader.inferred::<BatchNormSums>() {
        (reader.inputs[..2] == [x, between]).then_some(())?;
        node.inputs[1] = dy;
        return Some(node.with_op(BatchNormSums { eps, activation }, layout));
    }
    let (_, &layout) = reader.inferred::<BatchNormInputGradient>()?;
    (reader.inputs[..2] == [between, x]).then_some(())?;
    node.inputs[0] = dy;
    Some(node.with_op(BatchNormInputGradient { activation }, layout))
}
