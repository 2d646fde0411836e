//! Runs a graph on the CPU through each op's reference function: the judge of the GPU.

pub use crate::tensor::Tensors;

use crate::graph::{Graph, Init, Role, Tensor, Value};
use crate::setting::Setting;
use crate::tensor::{ElementType, HostTensor, Shape};
use std::collections::HashMap;

/// Tensors of a graph that the host has no room for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the host has no room for the {:.1} GiB of all tensors, of which `{largest}` {shape} is the largest; use a smaller {}, \
     or {}", *bytes as f64 / f64::from(1 << 30), Setting("batch"), Setting("micro_batch")
)]
pub struct NoMemory {
    /// Of all tensors of the graph together.
    pub bytes: u64,
    /// Name of the largest.
    pub largest: String,
    /// Its shape.
    pub shape: Shape,
}

/// Asks whether the host has room for all tensors of a graph: what is too large is told before anything is computed, and
/// is not the end of the process.
///
/// # Errors
/// When it has not.
pub fn expect_memory(graph: &Graph) -> Result<(), NoMemory> {
    // The host has f32 where a device stores f16.
    let bytes = |tensor: &Tensor| (tensor.spec.elements() as u64).saturating_mul(4);
    let bytes = graph.tensors().iter().map(bytes).fold(0, u64::saturating_add);
    let has_room = usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    let largest = graph.tensors().iter().max_by_key(|tensor| tensor.spec.bytes());
    match largest {
        Some(largest) if !has_room => {
            Err(NoMemory { bytes, largest: largest.name.clone(), shape: largest.spec.shape.clone() })
        }
        _ => Ok(()),
    }
}

/// Values for every input, parameter and buffer of a graph, by name: uniform in [-1, 1), integers
/// below `classes`.
pub fn random_tensors(graph: &Graph, seed: u64, classes: u32) -> Tensors {
    let mut tensors = Tensors::new();
    for value in graph.values() {
        let tensor = graph.tensor(value);
        if matches!(tensor.role, Role::Pack { .. } | Role::Node { .. }) {
            continue;
        }
        let values = Init::Uniform { bound: 1.0 }.values(&tensor.name, seed, tensor.spec.elements());
        let data = match tensor.spec.element {
            ElementType::F32 | ElementType::F16 => HostTensor::F32(values),
            ElementType::U32 => HostTensor::U32(
                values.iter().map(|value| (((value + 1.0) / 2.0 * classes as f32) as u32).min(classes - 1)).collect(),
            ),
        };
        tensors.insert(tensor.name.clone(), data);
    }
    tensors
}

/// Runs every live node of `graph` once.
///
/// `inputs` and `state` hold the graph's inputs and its parameters and buffers by name; what a
/// missing buffer starts from is its init with zeros for packs. Updated state is written back.
/// Gives the graph's outputs, in their order.
pub fn run(graph: &Graph, inputs: &Tensors, state: &mut Tensors) -> Vec<HostTensor> {
    let mut run = Run::new(graph);
    run.go_on(graph, usize::MAX, inputs, state);
    run.outputs.into_iter().flatten().collect()
}

/// A run that may be made piece by piece.
pub(crate) struct Run {
    live: Vec<bool>,
    /// The last node that reads each tensor.
    last_use: Vec<usize>,
    /// What nodes gave and others will read.
    values: HashMap<Value, HostTensor>,
    /// The graph's outputs that are there.
    pub outputs: Vec<Option<HostTensor>>,
    /// The first node that has not run.
    next: usize,
}

impl Run {
    pub(crate) fn new(graph: &Graph) -> Run {
        let live = graph.live_nodes();
        let mut last_use = vec![0; graph.tensors().len()];
        for (index, node) in graph.nodes().iter().enumerate().filter(|(index, _)| live[*index]) {
            for value in &node.inputs {
                last_use[value.index()] = index;
                if let Role::Pack { members, .. } = &graph.tensor(*value).role {
                    members.iter().for_each(|member| last_use[member.index()] = index);
                }
            }
        }
        for (_, value) in graph.outputs() {
            last_use[value.index()] = usize::MAX;
            if let Role::Pack { members, .. } = &graph.tensor(*value).role {
                members.iter().for_each(|member| last_use[member.index()] = usize::MAX);
            }
        }
        Run { live, last_use, values: HashMap::new(), outputs: vec![None; graph.outputs().len()], next: 0 }
    }

    /// Runs the live nodes up to and with node `last` that have not run, as [`run`] does.
    pub(crate) fn go_on(&mut self, graph: &Graph, last: usize, inputs: &Tensors, state: &mut Tensors) {
        let end = graph.nodes().len().min(last.saturating_add(1));
        if self.next > 0 && self.next >= end {
            return;
        }
        for value in graph.values() {
            let tensor = graph.tensor(value);
            let held = match tensor.role {
                Role::Input => inputs.get(&tensor.name).cloned(),
                Role::Parameter { .. } | Role::Buffer { .. } => state.remove(&tensor.name),
                Role::Pack { .. } | Role::Node { .. } => continue,
            };
            let mut held = held.unwrap_or_else(|| HostTensor::zeros(&tensor.spec));
            held.round_to(tensor.spec.element);
            self.values.insert(value, held);
        }
        for index in self.next..end {
            if self.live[index] {
                self.run_node(graph, index);
            }
        }
        self.next = self.next.max(end);
        for ((_, value), output) in graph.outputs().iter().zip(&mut self.outputs) {
            *output = output_of(graph, &self.values, *value);
        }
        for value in graph.values() {
            let tensor = graph.tensor(value);
            if let Role::Parameter { .. } | Role::Buffer { .. } = &tensor.role
                && let Some(held) = self.values.remove(&value)
            {
                state.insert(tensor.name.clone(), held);
            }
        }
        if self.next >= graph.nodes().len() {
            self.values.clear();
        }
    }

    fn run_node(&mut self, graph: &Graph, index: usize) {
        let Run { values, last_use, .. } = self;
        let node = &graph.nodes()[index];
        for &input in &node.inputs {
            if let Role::Pack { .. } = graph.tensor(input).role
                && let Some(packed) = gather(graph, values, input)
            {
                values.insert(input, packed);
            }
        }
        let mut outputs: Vec<HostTensor> =
            node.outputs.iter().map(|&output| HostTensor::zeros(graph.spec(output))).collect();
        outputs.extend(node.op.updates().iter().map(|&input| values[&node.inputs[input]].clone()));
        {
            let given: Vec<&HostTensor> = node.inputs.iter().map(|input| &values[input]).collect();
            node.op.reference(&given, &mut outputs);
        }
        let updated = outputs.split_off(node.outputs.len());
        for (&output, mut tensor) in node.outputs.iter().zip(outputs) {
            tensor.round_to(graph.spec(output).element);
            values.insert(output, tensor);
        }
        for (&input, tensor) in node.op.updates().iter().zip(updated) {
            store(graph, values, node.inputs[input], tensor);
        }
        for value in node.inputs.iter().chain(&node.outputs) {
            if last_use[value.index()] <= index && matches!(graph.tensor(*value).role, Role::Node { .. }) {
                values.remove(value);
            }
        }
    }
}

/// What an output has, where the nodes that make it have run.
fn output_of(graph: &Graph, values: &HashMap<Value, HostTensor>, value: Value) -> Option<HostTensor> {
    match graph.tensor(value).role {
        Role::Pack { .. } => gather(graph, values, value),
        _ => values.get(&value).cloned(),
    }
}

/// A pack's members laid one after another, where all are there.
fn gather(graph: &Graph, values: &HashMap<Value, HostTensor>, pack: Value) -> Option<HostTensor> {
    let mut packed = HostTensor::zeros(graph.spec(pack));
    if let Role::Pack { members, offsets } = &graph.tensor(pack).role {
        for (member, &offset) in members.iter().zip(offsets) {
            let data = values.get(member)?.f32();
            packed.f32_mut()[offset..offset + data.len()].copy_from_slice(data);
        }
    }
    Some(packed)
}

/// Writes an updated tensor, a pack's into its members.
fn store(graph: &Graph, values: &mut HashMap<Value, HostTensor>, value: Value, tensor: HostTensor) {
    if let Role::Pack { members, offsets } = &graph.tensor(value).role {
        for (member, &offset) in members.iter().zip(offsets) {
            let count = graph.spec(*member).elements();
            values.insert(*member, HostTensor::F32(tensor.f32()[offset..offset + count].to_vec()));
        }
    } else {
        values.insert(value, tensor);
    }
}
