//! Activations as part of the op before them, whose kernels apply them to what they store.

use crate::graph::{Graph, Node, Role};
use crate::ops::{Activated, Activation};
use std::sync::Arc;

impl Graph {
    /// Merges each activation into the op before it, where that op's kernels
    /// [take one](crate::graph::Op::takes_activation) and nothing else reads what lies between.
    ///
    /// The backward pass is a reader like any other: in training, activations stay that differentiate from their input, but for
    /// those after a batch norm, whose gradients find that input anew (`fuse_gradients`). Values keep their names and numbers. The merged node stands where the
    /// activation stood; the op before it is left without readers, a dead node.
    pub fn fuse_activations(&self) -> Graph {
        let before = self.fuse_gradients();
        let readers = before.readers();
        let mut graph = before.clone();
        for (index, node) in before.nodes().iter().enumerate() {
            if let Some(fused) = before.fused(node, &readers) {
                graph.replace_node(index, fused);
            }
        }
        graph
    }

    /// An activation's node with the op before it.
    fn fused(&self, node: &Node, readers: &[usize]) -> Option<Node> {
        let &activation = node.op_as::<Activation>()?;
        let between = node.inputs[0];
        let Role::Node { node: before, .. } = self.tensor(between).role else { return None };
        let before = &self.nodes()[before];
        let merges = before.op.takes_activation() && before.pass == node.pass && readers[between.index()] == 1;
        merges.then(|| {
            let op = Activated { op: Arc::clone(&before.op), activation };
            Node { op: Arc::new(op), outputs: node.outputs.clone(), ..before.clone() }
        })
    }
}
