//! Tensors that live on between runs and are shared by programs: parameters, running statistics,
//! optimizer state.

use super::readback::Readback;
use super::{Gpu, GpuError};
use crate::graph::{Graph, Role, Value};
use crate::plan::{Plan, Region};
use std::collections::HashMap;

#[derive(Clone)]
pub(super) struct Stored {
    pub buffer: wgpu::Buffer,
    pub offset: u64,
    pub bytes: u64,
}

/// Persistent tensors on a device, by name.
pub(crate) struct Store {
    gpu: Gpu,
    seed: u64,
    tensors: HashMap<String, Stored>,
    packs: HashMap<String, Pack>,
}

/// Tensors side by side in one buffer.
struct Pack {
    stored: Stored,
    /// Names of the members, and the element at which each begins.
    members: Vec<(String, usize)>,
}

/// A pack that cannot be laid out, since what is in it lies elsewhere already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the pack `{pack}` of a graph has other tensors than what was laid out under that name before, first `{tensor}`: \
     graphs that share tensors are prepared together, and train the same parameters"
)]
pub struct OtherPack {
    /// Name of the pack.
    pub pack: String,
    /// Name of the first of its members that is elsewhere.
    pub tensor: String,
}

impl Store {
    /// An empty store; tensors start from their graph's [`crate::graph::Init`] under `seed`.
    pub(crate) fn new(gpu: &Gpu, seed: u64) -> Self {
        Store { gpu: gpu.clone(), seed, tensors: HashMap::new(), packs: HashMap::new() }
    }

    /// Reads tensors back, in the order of the names and in one copy. The store is free meanwhile.
    ///
    /// # Errors
    /// When there is none of a name, or the device fails.
    pub(crate) fn read(
        &self,
        names: &[&str],
    ) -> Result<impl Future<Output = Result<Vec<Vec<f32>>, GpuError>> + use<>, GpuError> {
        let tensors = names.iter().map(|name| self.get(name).cloned()).collect::<Result<Vec<_>, GpuError>>()?;
        let gpu = self.gpu.clone();
        Ok(async move { Readback::all(&gpu, &tensors).await })
    }

    /// Overwrites a tensor.
    ///
    /// # Errors
    /// When there is none of that name, or its size is another.
    pub(crate) fn write(&self, name: &str, values: &[f32]) -> Result<(), GpuError> {
        let stored = self.get(name)?;
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let given = bytes.len() as u64;
        if given != stored.bytes {
            return Err(GpuError::WrongSize { name: name.to_owned(), expected: stored.bytes, given });
        }
        self.gpu.queue.write_buffer(&stored.buffer, stored.offset, bytes);
        self.gpu.check()
    }

    /// Whether a program has the tensor.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    fn get(&self, name: &str) -> Result<&Stored, GpuError> {
        self.tensors.get(name).ok_or_else(|| GpuError::UnknownTensor { kind: "tensor", name: name.to_owned() })
    }

    /// Lays out the tensors of graphs that are not there yet, with their initial values: those in packs first, whatever
    /// the order of the graphs. What is there never moves.
    ///
    /// # Errors
    /// When a pack cannot be laid out beside what is there, or the device has no memory.
    pub(super) fn lay_out(&mut self, graphs: &[(&Graph, &Plan)]) -> Result<(), GpuError> {
        let persistent = |plan: &Plan| -> Vec<Value> {
            let value =
                |region: &Region| if let Region::Persistent { value, .. } = region { Some(*value) } else { None };
            plan.regions.iter().filter_map(value).collect()
        };
        for &(graph, plan) in graphs {
            for value in persistent(plan) {
                if is_shared_pack(graph, value) {
                    self.lay_out_pack(graph, value)?;
                }
            }
        }
        for &(graph, plan) in graphs {
            for value in persistent(plan) {
                let tensor = graph.tensor(value);
                if tensor.is_kept() && !self.contains(&tensor.name) {
                    let stored = self.allocate(&tensor.name, tensor.spec.bytes())?;
                    self.begin(graph, value, stored);
                }
            }
        }
        Ok(())
    }

    fn lay_out_pack(&mut self, graph: &Graph, value: Value) -> Result<(), GpuError> {
        let tensor = graph.tensor(value);
        let Role::Pack { members, offsets } = &tensor.role else { return Ok(()) };
        let named = |(member, offset): (&Value, &usize)| (graph.tensor(*member).name.clone(), *offset);
        let laid: Vec<(String, usize)> = members.iter().zip(offsets).map(named).collect();
        let other = |tensor: &str| OtherPack { pack: graph.tensor(value).name.clone(), tensor: tensor.to_owned() };
        if let Some(known) = self.packs.get(&tensor.name) {
            let differs = |(index, member): &(usize, &(String, usize))| known.members.get(*index) != Some(member);
            return match laid.iter().enumerate().find(differs) {
                Some((_, (name, _))) => Err(other(name).into()),
                None if known.members.len() > laid.len() => Err(other(&known.members[laid.len()].0).into()),
                None => Ok(()),
            };
        }
        if let Some((name, _)) = laid.iter().find(|(name, _)| self.contains(name)) {
            return Err(other(name).into());
        }
        let stored = self.allocate(&tensor.name, tensor.spec.bytes())?;
        for (&member, &offset) in members.iter().zip(offsets) {
            let place =
                Stored { buffer: stored.buffer.clone(), offset: offset as u64 * 4, bytes: graph.spec(member).bytes() };
            self.begin(graph, member, place);
        }
        self.packs.insert(tensor.name.clone(), Pack { stored, members: laid });
        Ok(())
    }

    /// The memory of a persistent region of a graph that was [laid out](Store::lay_out): a program's own for a pack of
    /// gradients, which nothing shares.
    pub(super) fn region(&self, graph: &Graph, value: Value, bytes: u64) -> Result<Stored, GpuError> {
        let name = &graph.tensor(value).name;
        match self.packs.get(name) {
            Some(pack) if is_shared_pack(graph, value) => Ok(pack.stored.clone()),
            _ => match self.tensors.get(name) {
                Some(stored) => Ok(stored.clone()),
                None => self.allocate(name, bytes),
            },
        }
    }

    fn allocate(&self, name: &str, bytes: u64) -> Result<Stored, GpuError> {
        let descriptor = wgpu::BufferDescriptor {
            label: Some(name),
            size: bytes,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        let buffer =
            self.gpu.allocate(&format!("allocating `{name}`"), || self.gpu.device.create_buffer(&descriptor))?;
        Ok(Stored { buffer, offset: 0, bytes })
    }

    /// Enters a parameter or buffer under its name, with its initial values.
    fn begin(&mut self, graph: &Graph, value: Value, place: Stored) {
        let tensor = graph.tensor(value);
        if let Role::Parameter { init, .. } | Role::Buffer { init, .. } = &tensor.role {
            let values = init.values(&tensor.name, self.seed, tensor.spec.elements());
            self.gpu.queue.write_buffer(&place.buffer, place.offset, bytemuck::cast_slice(&values));
            self.tensors.insert(tensor.name.clone(), place);
        }
    }
}

/// Whether all members live on between runs. A pack of gradients belongs to its program alone.
fn is_shared_pack(graph: &Graph, value: Value) -> bool {
    match &graph.tensor(value).role {
        Role::Pack { members, .. } => members.iter().all(|&member| graph.tensor(member).is_kept()),
        _ => false,
    }
}
