//! A graph as a table: what each layer gives, holds and costs.

use super::{Graph, Node, Pass, Role, Value};
use crate::tensor::{Shape, Shapes};
use std::collections::HashSet;

/// One layer of a forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerRow {
    /// Path of the layer, such as `layer1.0.conv1`; of the block it is in, where it has no parameters.
    pub layer: String,
    /// The op; of several under one layer, the one that computes the most.
    pub op: &'static str,
    /// Shape of what the layer gives.
    pub output: Shape,
    /// Elements of the parameters first used here.
    pub parameters: usize,
    /// Floating point operations of the forward pass; a multiply-add counts as two.
    pub flops: u64,
    /// Bytes that the forward pass must move at least.
    pub bytes: u64,
}

impl Graph {
    /// The layers of the forward pass, in the order they run.
    ///
    /// A layer with parameters is one row, whatever number of ops it takes; any other op that
    /// computes something is a row of its own.
    pub fn layers(&self) -> Vec<LayerRow> {
        let mut seen = HashSet::new();
        let mut rows: Vec<(LayerRow, u64)> = Vec::new();
        for node in self.nodes.iter().filter(|node| node.pass == Pass::Forward && !node.op.is_view()) {
            let cost = node.op.cost(&self.shapes(node));
            let parameters = node
                .inputs
                .iter()
                .filter(|&&input| matches!(self.tensor(input).role, Role::Parameter { .. }) && seen.insert(input))
                .map(|&input| self.shape(input).elements())
                .sum();
            let Some(&output) = node.outputs.first() else { continue };
            let row = LayerRow {
                layer: node.layer.clone(),
                op: node.op.name(),
                output: self.shape(output).clone(),
                parameters,
                flops: cost.flops,
                bytes: cost.bytes,
            };
            match rows.last_mut() {
                Some((last, largest)) if last.layer == row.layer && last.parameters + row.parameters > 0 => {
                    if cost.flops >= *largest {
                        (*largest, last.op) = (cost.flops, row.op);
                    }
                    last.output = row.output;
                    last.parameters += row.parameters;
                    last.flops += row.flops;
                    last.bytes += row.bytes;
                }
                _ => rows.push((row, cost.flops)),
            }
        }
        rows.into_iter().map(|(row, _)| row).collect()
    }

    /// Multiply-adds of the forward pass in convolutions and other products of matrices: what papers
    /// count.
    pub fn multiply_adds(&self) -> u64 {
        let products = self.forward().filter(|node| ["conv2d", "linear", "matmul"].contains(&node.op.name()));
        products.map(|node| node.op.cost(&self.shapes(node)).flops / 2).sum()
    }

    /// Floating point operations of the forward pass; a multiply-add counts as two.
    pub fn forward_flops(&self) -> u64 {
        self.forward().map(|node| node.op.cost(&self.shapes(node)).flops).sum()
    }

    /// Bytes of what the nodes of the forward pass give, each once.
    pub fn activation_bytes(&self) -> u64 {
        let outputs = self.forward().filter(|node| !node.op.is_view()).flat_map(|node| &node.outputs);
        outputs.map(|&value| self.spec(value).bytes()).sum()
    }

    fn forward(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.pass == Pass::Forward)
    }

    /// Shapes of a node's inputs and outputs.
    pub fn shapes(&self, node: &Node) -> Shapes<'_> {
        let specs = |values: &[Value]| values.iter().map(|&value| self.spec(value)).collect::<Vec<_>>();
        Shapes::of(&specs(&node.inputs), &specs(&node.outputs))
    }
}
