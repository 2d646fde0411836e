//! Features and their gradients stored in f16, which halves the memory and the traffic of a training step.
//!
//! Only how values are stored changes: every kernel computes in f32 and sums in f32. An op says whether its output
//! [may be stored so](crate::graph::Op::keeps_half). Statistics, losses and the gradients of parameters stay in f32.

use crate::graph::{Graph, Pass, Role, Value};
use crate::ops::Add;
use crate::tensor::ElementType;
use std::ops::Range;

impl Graph {
    /// Stores in f16 what may be, but for the nodes `exact`, such as those of a loss, with all that they read and give.
    /// It comes after the backward pass and the update were added; outputs of the graph and members of packs stay as they
    /// are.
    #[must_use]
    pub fn store_in_half(&self, exact: Range<usize>) -> Graph {
        let mut graph = self.clone();
        let mut stays = self.in_packs();
        self.outputs().iter().for_each(|(_, value)| stays[value.index()] = true);
        for node in &self.nodes()[exact] {
            node.inputs.iter().chain(&node.outputs).for_each(|value| stays[value.index()] = true);
        }
        graph.store(stays);
        graph
    }

    /// With all inputs of floats in f16: what kernels make of them is compared exactly.
    #[must_use]
    pub fn inputs_in_half(&self) -> Graph {
        let mut graph = self.clone();
        let stays = self.in_packs();
        for value in self.values() {
            let tensor = self.tensor(value);
            if tensor.role == Role::Input && tensor.spec.element == ElementType::F32 && !stays[value.index()] {
                graph.set_element(value, ElementType::F16);
            }
        }
        graph
    }

    /// With inputs, outputs and all between them in f16, as far as an op may store it so.
    #[must_use]
    pub fn all_in_half(&self) -> Graph {
        let mut graph = self.inputs_in_half();
        graph.store(self.in_packs());
        graph
    }

    /// Which tensors are members of packs.
    fn in_packs(&self) -> Vec<bool> {
        let mut packed = vec![false; self.tensors().len()];
        for tensor in self.tensors() {
            if let Role::Pack { members, .. } = &tensor.role {
                members.iter().for_each(|member| packed[member.index()] = true);
            }
        }
        packed
    }

    /// Stores the outputs of nodes in f16, but for what `stays`, and what shares its memory or is added up to it.
    fn store(&mut self, mut stays: Vec<bool>) {
        for node in self.nodes().iter().rev() {
            let passes_on = node.op.is_view() || node.pass == Pass::Backward && node.op_as::<Add>().is_some();
            if passes_on && stays[node.outputs[0].index()] {
                node.inputs.iter().for_each(|input| stays[input.index()] = true);
            }
        }
        for index in 0..self.nodes().len() {
            let node = &self.nodes()[index];
            let Some(&output) = node.outputs.first() else { continue };
            let element = match node.op.is_view() {
                true => self.spec(node.inputs[0]).element,
                false if node.pass != Pass::Update && node.op.keeps_half() && !stays[output.index()] => {
                    ElementType::F16
                }
                false => continue,
            };
            self.set_element(output, element);
        }
    }

    fn set_element(&mut self, value: Value, element: ElementType) {
        self.tensor_mut(value).spec.element = element;
    }
}
