//! Tensors that live on between runs, on a GPU or in host memory.

use super::{Device, SessionError};
use crate::gpu::{GpuError, Store};
use crate::graph::{Graph, Role};
use crate::reference::Tensors;
use crate::tensor::HostTensor;
use std::pin::Pin;

/// Parameters, running statistics and optimizer state by name.
pub(super) enum State {
    Gpu(Store),
    Reference { tensors: Tensors, seed: u64 },
}

/// What a device gives of several tensors.
type Values = Result<Vec<Vec<f32>>, GpuError>;

/// Values on their way, for which nothing need be held.
pub(super) enum Reading {
    Later(Pin<Box<dyn Future<Output = Values> + Send>>),
    Now(Vec<Vec<f32>>),
}

impl Reading {
    /// # Errors
    /// When the device fails.
    pub(super) async fn values(self) -> Result<Vec<Vec<f32>>, SessionError> {
        match self {
            Reading::Later(values) => Ok(values.await?),
            Reading::Now(values) => Ok(values),
        }
    }
}

impl State {
    pub(super) fn new(device: &Device, seed: u64) -> State {
        match device.gpu() {
            Some(gpu) => State::Gpu(Store::new(gpu, seed)),
            None => State::Reference { tensors: Tensors::new(), seed },
        }
    }

    /// Lets the tensors of graphs for the reference begin, where they are not there yet.
    pub(super) fn begin(tensors: &mut Tensors, seed: u64, graph: &Graph) {
        for tensor in graph.tensors() {
            if let Role::Parameter { init, .. } | Role::Buffer { init, .. } = &tensor.role {
                tensors
                    .entry(tensor.name.clone())
                    .or_insert_with(|| HostTensor::F32(init.values(&tensor.name, seed, tensor.spec.elements())));
            }
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            State::Gpu(store) => store.contains(name),
            State::Reference { tensors, .. } => tensors.contains_key(name),
        }
    }

    /// The values of tensors, in the order of the names.
    ///
    /// # Errors
    /// When there is none of a name, or the device fails.
    pub(super) fn read(&self, names: &[&str]) -> Result<Reading, SessionError> {
        if let Some(name) = names.iter().find(|name| !self.has(name)) {
            return Err(unknown(name));
        }
        match self {
            State::Gpu(store) => Ok(Reading::Later(Box::pin(store.read(names)?))),
            State::Reference { tensors, .. } => {
                Ok(Reading::Now(names.iter().map(|name| tensors[*name].f32().to_vec()).collect()))
            }
        }
    }

    /// # Errors
    /// When there is none of that name, its size is another, or the device fails.
    pub(super) fn write(&mut self, name: &str, values: &[f32]) -> Result<(), SessionError> {
        match self {
            State::Gpu(store) => Ok(store.write(name, values)?),
            State::Reference { tensors, .. } => {
                let held = tensors.get_mut(name).ok_or_else(|| unknown(name))?;
                if held.len() != values.len() {
                    let (expected, given) = (held.len(), values.len());
                    return Err(SessionError::WrongSize { name: name.to_owned(), expected, given });
                }
                held.f32_mut().copy_from_slice(values);
                Ok(())
            }
        }
    }
}

fn unknown(name: &str) -> SessionError {
    SessionError::UnknownTensor { name: name.to_owned() }
}
