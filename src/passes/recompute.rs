//! Fewer activations kept: the backward pass computes most of them again (Chen et al. 2016).
//!
//! The forward pass is cut into segments where little goes from one to the next. What crosses a cut is kept; what the backward
//! pass reads of a segment's inside is computed again, just before the backward pass of that segment, by the same kernels and
//! so with the same bits. All of a step's memory is then that of what is kept and of one segment at a time.

use super::segments::{Segments, Span};
use crate::graph::{Graph, Node, Pass, Role, Value};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Tensors are kept that take less than this share of what the backward pass reads, such as statistics.
const SMALL: u64 = 4096;

impl Graph {
    /// A training graph that keeps fewer activations. What its nodes compute is the same.
    ///
    /// Nothing is computed again that a run gives back, and nothing by a node that writes in place.
    #[must_use]
    pub fn recompute(&self) -> Graph {
        let begin = |node: &Node| node.pass != Pass::Forward;
        let forward = self.nodes().iter().position(begin).unwrap_or(self.nodes().len());
        // What a plan keeps is seen once activations are merged; nodes have the same places.
        let mut planned = self.fuse_activations().spans(forward);
        let read: u64 = planned.iter().filter(|span| span.is_read).map(|span| span.bytes).sum();
        planned.retain(|span| span.bytes > read / SMALL);
        let Some(segments) = Segments::choose(&planned, forward) else { return self.clone() };
        let is_dropped = |span: &Span| span.bytes > read / SMALL && !segments.keeps(span);
        let dropped = self.spans(forward).into_iter().filter(is_dropped).map(|span| span.value).collect();
        let mut graph = self.clone();
        graph.run_again(&dropped, forward);
        graph
    }

    /// What nodes before `forward` compute that may be computed again, in the order of the nodes.
    fn spans(&self, forward: usize) -> Vec<Span> {
        let live = self.live_nodes();
        let mut spans: BTreeMap<Value, Span> = BTreeMap::new();
        for (index, node) in self.nodes()[..forward].iter().enumerate().filter(|&(index, _)| live[index]) {
            if !node.op.is_view() && node.op.updates().is_empty() {
                for &value in &node.outputs {
                    let bytes = self.spec(value).bytes();
                    spans.insert(value, Span { value, bytes, from: index, to: index, is_read: false });
                }
            }
        }
        let packed = self.tensors().iter().filter_map(|tensor| match &tensor.role {
            Role::Pack { members, .. } => Some(members),
            _ => None,
        });
        for &value in self.outputs().iter().map(|(_, value)| value).chain(packed.flatten()) {
            spans.remove(&self.storage_of(value));
        }
        for (index, node) in self.nodes().iter().enumerate().filter(|&(index, _)| live[index]) {
            for &input in &node.inputs {
                let Some(span) = spans.get_mut(&self.storage_of(input)) else { continue };
                match node.pass {
                    Pass::Forward => span.to = index.min(forward),
                    _ => span.is_read = true,
                }
            }
        }
        spans.into_values().collect()
    }

    /// Lets the backward pass read what is `dropped` from nodes that compute it again, of what is not.
    fn run_again(&mut self, dropped: &HashSet<Value>, forward: usize) {
        let mut twins: HashMap<Value, Value> = HashMap::new();
        let mut nodes = self.nodes().to_vec();
        for mut node in nodes.split_off(forward) {
            if node.pass == Pass::Backward {
                let again = self.again(&node, dropped, &twins);
                for index in again {
                    let before = self.nodes()[index].clone();
                    let inputs = before.inputs.iter().map(|input| *twins.get(input).unwrap_or(input)).collect();
                    let outputs: Vec<Value> = before.outputs.iter().map(|&output| self.twin(output)).collect();
                    twins.extend(before.outputs.iter().copied().zip(outputs.iter().copied()));
                    nodes.push(Node { inputs, outputs, pass: Pass::Backward, ..before });
                }
            }
            node.inputs.iter_mut().for_each(|input| *input = *twins.get(input).unwrap_or(input));
            nodes.push(node);
        }
        self.set_nodes(nodes);
    }

    /// The nodes that compute again what `reader` reads and is dropped, in their order, but for those that have run again.
    fn again(&self, reader: &Node, dropped: &HashSet<Value>, twins: &HashMap<Value, Value>) -> Vec<usize> {
        let mut wanted: Vec<Value> = reader.inputs.clone();
        let mut again = Vec::new();
        while let Some(value) = wanted.pop() {
            let Role::Node { node, .. } = self.tensor(value).role else { continue };
            let is_dropped = dropped.contains(&self.storage_of(value)) && !twins.contains_key(&value);
            if is_dropped && !again.contains(&node) {
                again.push(node);
                wanted.extend(&self.nodes()[node].inputs);
            }
        }
        again.sort_unstable();
        again
    }
}
