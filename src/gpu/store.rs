//! Tensors that live on between runs and are shared by programs: parameters, running statistics,
//! optimizer state.

use super::{Gpu, GpuError};
use crate::graph::{Graph, Role, Value};
use crate::plan::{Plan, Region};
use crate::tensor::{ElementType, HostTensor};
use std::collections::HashMap;

#[derive(Clone)]
pub(super) struct Stored {
    pub buffer: wgpu::Buffer,
    pub offset: u64,
    pub bytes: u64,
}

/// Persistent tensors on a device, by name.
pub struct Store {
    gpu: Gpu,
    seed: u64,
    tensors: HashMap<String, Stored>,
}

impl Store {
    /// An empty store; tensors start from their graph's [`crate::graph::Init`] under `seed`.
    pub fn new(gpu: &Gpu, seed: u64) -> Self {
        Store { gpu: gpu.clone(), seed, tensors: HashMap::new() }
    }

    /// Reads a tensor back.
    ///
    /// # Errors
    /// When there is none of that name, or the device fails.
    pub fn read(&self, name: &str) -> Result<HostTensor, GpuError> {
        let stored = self.get(name)?;
        let readback = super::Readback::start(&self.gpu, &stored.buffer, stored.offset, stored.bytes)?;
        Ok(HostTensor::from_bytes(ElementType::F32, &readback.finish(&self.gpu)?))
    }

    /// Overwrites a tensor.
    ///
    /// # Errors
    /// When there is none of that name, or its size is another.
    pub fn write(&self, name: &str, tensor: &HostTensor) -> Result<(), GpuError> {
        let stored = self.get(name)?;
        let given = tensor.bytes().len() as u64;
        if given != stored.bytes {
            return Err(GpuError::WrongSize { name: name.to_owned(), expected: stored.bytes, given });
        }
        self.gpu.queue.write_buffer(&stored.buffer, stored.offset, tensor.bytes());
        self.gpu.check()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    fn get(&self, name: &str) -> Result<&Stored, GpuError> {
        self.tensors.get(name).ok_or_else(|| GpuError::UnknownTensor { kind: "tensor", name: name.to_owned() })
    }

    /// The memory of a plan's persistent region: that of an earlier program when it has the
    /// tensor, else new memory with the tensor's initial values.
    pub(super) fn region(&mut self, graph: &Graph, plan: &Plan, region: usize) -> Result<Stored, GpuError> {
        let Region::Persistent { value, bytes } = &plan.regions[region] else {
            unreachable!("only persistent regions live in the store")
        };
        let name = &graph.tensor(*value).name;
        if let Some(stored) = self.tensors.get(name) {
            return Ok(stored.clone());
        }
        let buffer = self.gpu.allocate(&format!("allocating `{name}`"), || {
            self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(name),
                size: *bytes,
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })?;
        let stored = Stored { buffer, offset: 0, bytes: *bytes };
        match &graph.tensor(*value).role {
            Role::Pack { members, offsets } => {
                let mut all_persistent = true;
                for (&member, &offset) in members.iter().zip(offsets) {
                    let place = Stored {
                        buffer: stored.buffer.clone(),
                        offset: offset as u64 * 4,
                        bytes: graph.spec(member).bytes(),
                    };
                    all_persistent &= self.adopt(graph, member, place)?;
                }
                // A pack of gradients belongs to its program alone.
                if all_persistent {
                    self.tensors.insert(name.clone(), stored.clone());
                }
            }
            _ => {
                self.adopt(graph, *value, stored.clone())?;
            }
        }
        Ok(stored)
    }

    /// Enters a parameter or buffer under its name; `false` when `value` is neither.
    fn adopt(&mut self, graph: &Graph, value: Value, place: Stored) -> Result<bool, GpuError> {
        let tensor = graph.tensor(value);
        let (Role::Parameter { init, .. } | Role::Buffer { init }) = &tensor.role else { return Ok(false) };
        let values = match self.tensors.get(&tensor.name) {
            // A pack takes over what an earlier program held elsewhere: the value moves with it.
            Some(_) => self.read(&tensor.name)?,
            None => HostTensor::F32(init.values(&tensor.name, self.seed, tensor.spec.elements())),
        };
        self.gpu.queue.write_buffer(&place.buffer, place.offset, values.bytes());
        self.tensors.insert(tensor.name.clone(), place);
        Ok(true)
    }
}
