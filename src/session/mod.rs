//! The one way to run graphs, on a GPU or on the CPU reference: state that lives on between runs and is shared by
//! programs, typed handles to inputs and outputs, and results that are waited for or awaited.

mod data;
mod device;
mod error;
mod on_reference;
mod pending;
mod program;
mod state;

pub use data::Data;
pub use device::Device;
pub use error::SessionError;
pub use pending::Pending;
pub use program::{Input, Output, Program};

use crate::graph::{Graph, Role};
use crate::reference;
use crate::tensor::{HostTensor, Shape};
use state::State;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A device with parameters, running statistics and optimizer state by name, which all programs that are prepared here
/// share. Cloning shares it.
///
/// ```
/// use tilewright::graph::{Graph, Init};
/// use tilewright::ops::Mul;
/// use tilewright::session::{Device, Session};
/// use tilewright::tensor::TensorSpec;
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", TensorSpec::f32([3]))?;
/// let scale = graph.parameter("scale", [3], Init::ONES)?;
/// let y = graph.apply_one(Mul, &[x, scale])?;
/// graph.output("y", y);
///
/// let session = Session::new(&Device::reference(), 1);
/// let [mut program] = session.prepare([&graph])?;
/// session.set("scale", &[1.0, 10.0, 100.0])?;
/// program.write(program.input("x")?, &[1.0f32, 2.0, 3.0])?;
/// program.run()?;
/// assert_eq!(program.read(program.output("y")?)?.wait()?.f32(), [1.0, 20.0, 300.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Session {
    device: Device,
    state: Arc<Mutex<State>>,
}

/// Tensors by name, as a checkpoint has them.
pub type Tensors = BTreeMap<String, (Shape, Vec<f32>)>;

impl Session {
    /// A session without any tensor; parameters and buffers start from their [`Init`](crate::graph::Init) under `seed`.
    pub fn new(device: &Device, seed: u64) -> Session {
        Session { device: device.clone(), state: Arc::new(Mutex::new(State::new(device, seed))) }
    }

    /// Where its programs run.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Makes graphs ready to run: kernels compiled, memory allocated. Graphs of one call share their tensors whatever
    /// their order. A graph that comes later finds the tensors where they are, and none of them moves.
    ///
    /// # Errors
    /// When the device cannot run a graph, has no memory for it, or a graph that comes later wants tensors side by side
    /// that are not.
    #[cfg(blocking)]
    pub fn prepare<const N: usize>(&self, graphs: [&Graph; N]) -> Result<[Program; N], SessionError> {
        let programs = self.prepare_all(&graphs)?;
        Ok(programs.try_into().unwrap_or_else(|_| unreachable!("there is a program for each graph")))
    }

    /// As [`Session::prepare`], of however many graphs.
    ///
    /// # Errors
    /// As [`Session::prepare`].
    #[cfg(blocking)]
    pub fn prepare_all(&self, graphs: &[&Graph]) -> Result<Vec<Program>, SessionError> {
        pollster::block_on(self.prepare_async(graphs))
    }

    /// As [`Session::prepare_all`], where nothing may wait.
    ///
    /// # Errors
    /// As [`Session::prepare`].
    pub async fn prepare_async(&self, graphs: &[&Graph]) -> Result<Vec<Program>, SessionError> {
        Program::prepare(&self.device, graphs, &self.state, None).await
    }

    /// As [`Session::prepare`], for a graph that never runs at the same time as `other`, with whose activations it shares
    /// memory.
    ///
    /// # Errors
    /// As [`Session::prepare`].
    #[cfg(blocking)]
    pub fn prepare_beside(&self, graph: &Graph, other: &Program) -> Result<Program, SessionError> {
        pollster::block_on(self.prepare_beside_async(graph, other))
    }

    /// As [`Session::prepare_beside`], where nothing may wait.
    ///
    /// # Errors
    /// As [`Session::prepare`].
    pub async fn prepare_beside_async(&self, graph: &Graph, other: &Program) -> Result<Program, SessionError> {
        let mut programs = Program::prepare(&self.device, &[graph], &self.state, Some(other)).await?;
        Ok(programs.swap_remove(0))
    }

    /// As [`Session::prepare`] for one graph on a device that differs from the session's in the kernels that it chooses
    /// alone.
    ///
    /// # Errors
    /// As [`Session::prepare`].
    #[cfg(blocking)]
    pub fn prepare_with(&self, device: &Device, graph: &Graph) -> Result<Program, SessionError> {
        let mut programs = pollster::block_on(Program::prepare(device, &[graph], &self.state, None))?;
        Ok(programs.swap_remove(0))
    }

    /// A parameter or buffer.
    ///
    /// # Errors
    /// When no program has one of that name, or the device fails.
    #[cfg(blocking)]
    pub fn get(&self, name: &str) -> Result<Vec<f32>, SessionError> {
        pollster::block_on(self.get_async(name))
    }

    /// As [`Session::get`], where nothing may wait.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub async fn get_async(&self, name: &str) -> Result<Vec<f32>, SessionError> {
        let mut read = self.read(&[name]).await?;
        Ok(read.swap_remove(0))
    }

    /// Parameters and buffers in the order of their names, in one copy from the device.
    ///
    /// # Errors
    /// As [`Session::get`].
    #[cfg(blocking)]
    pub fn get_all(&self, names: &[&str]) -> Result<Vec<Vec<f32>>, SessionError> {
        pollster::block_on(self.read(names))
    }

    /// Overwrites a parameter or buffer.
    ///
    /// # Errors
    /// When no program has one of that name, its size is another, or the device fails.
    pub fn set(&self, name: &str, values: &[f32]) -> Result<(), SessionError> {
        self.lock().write(name, values)
    }

    /// Whether a program has a parameter or buffer of that name.
    pub fn has(&self, name: &str) -> bool {
        self.lock().has(name)
    }

    /// Parameters and buffers by name and shape, in one copy from the device.
    ///
    /// # Errors
    /// When no program has one of them, or the device fails.
    #[cfg(blocking)]
    pub fn export<'a>(
        &self,
        wanted: impl IntoIterator<Item = (&'a String, &'a Shape)>,
    ) -> Result<Tensors, SessionError> {
        pollster::block_on(self.export_async(wanted))
    }

    /// As [`Session::export`], where nothing may wait.
    ///
    /// # Errors
    /// As [`Session::export`].
    pub async fn export_async<'a>(
        &self,
        wanted: impl IntoIterator<Item = (&'a String, &'a Shape)>,
    ) -> Result<Tensors, SessionError> {
        let wanted: Vec<(&String, &Shape)> = wanted.into_iter().collect();
        let names: Vec<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        let read = self.read(&names).await?;
        let tensors = wanted.into_iter().zip(read);
        Ok(tensors.map(|((name, shape), values)| (name.clone(), (shape.clone(), values))).collect())
    }

    /// Overwrites parameters and buffers.
    ///
    /// # Errors
    /// As [`Session::set`].
    pub fn import(&self, tensors: &Tensors) -> Result<(), SessionError> {
        let mut state = self.lock();
        tensors.iter().try_for_each(|(name, (_, values))| state.write(name, values))
    }

    async fn read(&self, names: &[&str]) -> Result<Vec<Vec<f32>>, SessionError> {
        let reading = self.lock().read(names)?;
        reading.values().await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `graph` once in a session of its own, from the given inputs and state, in memory that is
/// [poisoned](Program::poison) before: its outputs, in their order, and what became of the state that was given.
///
/// # Errors
/// When the device cannot run it, or fails.
#[cfg(blocking)]
pub fn run_once(
    device: &Device,
    graph: &Graph,
    tensors: &reference::Tensors,
) -> Result<(Vec<HostTensor>, reference::Tensors), SessionError> {
    pollster::block_on(run_once_async(device, graph, tensors))
}

/// As [`run_once`], where nothing may wait.
///
/// # Errors
/// As [`run_once`].
pub async fn run_once_async(
    device: &Device,
    graph: &Graph,
    tensors: &reference::Tensors,
) -> Result<(Vec<HostTensor>, reference::Tensors), SessionError> {
    let session = Session::new(device, 0);
    let mut program = session.prepare_async(&[graph]).await?.swap_remove(0);
    program.poison_async().await?;
    let mut state: Vec<&str> = Vec::new();
    for tensor in graph.tensors() {
        let Some(data) = tensors.get(&tensor.name) else { continue };
        if tensor.role == Role::Input {
            program.write(program.input(&tensor.name)?, data)?;
        } else if tensor.is_kept() && session.has(&tensor.name) {
            session.set(&tensor.name, data.f32())?;
            state.push(&tensor.name);
        }
    }
    program.run_async().await?;
    let mut outputs = Vec::with_capacity(graph.outputs().len());
    for (name, _) in graph.outputs() {
        outputs.push(program.read(program.output(name)?)?.arrive().await?);
    }
    let values = session.read(&state).await?;
    let state = state.into_iter().map(str::to_owned).zip(values.into_iter().map(HostTensor::F32));
    Ok((outputs, state.collect()))
}
