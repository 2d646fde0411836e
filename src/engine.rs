//! Runs graphs on a GPU or on the CPU reference behind one interface, with tensors that live on
//! between runs.

use crate::activity::Activity;
use crate::gpu::{DeviceOptions, DeviceSelector, Gpu, GpuError, Program, Readback, Store};
use crate::graph::{Graph, Role};
use crate::kernel::Choices;
use crate::plan::MemoryReport;
use crate::reference::{self, Tensors};
use crate::tensor::{ElementType, HostTensor};

/// Where graphs run, and the parameters, statistics and optimizer state they share by name.
pub enum Engine {
    Gpu(Box<GpuEngine>),
    Reference(ReferenceEngine),
}

/// Kernels on a device.
pub struct GpuEngine {
    gpu: Gpu,
    store: Store,
}

/// The reference functions on the CPU.
pub struct ReferenceEngine {
    state: Tensors,
    seed: u64,
    activity: Activity,
}

/// A graph that is ready to run on its engine.
pub enum Executable {
    Gpu(Box<Program>),
    Reference(Box<ReferenceProgram>),
}

/// A graph on the CPU reference.
pub struct ReferenceProgram {
    graph: Graph,
    inputs: Tensors,
    outputs: Vec<HostTensor>,
}

/// An output on its way to the host.
pub enum Pending {
    Gpu(Box<Readback>, ElementType),
    Ready(HostTensor),
}

impl Engine {
    /// Opens `device`: `cpu` is the reference, anything else a [`DeviceSelector`]. Parameters start
    /// from their init under `seed`.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn open(device: &str, options: DeviceOptions, seed: u64) -> Result<Engine, GpuError> {
        if device == "cpu" {
            return Ok(Engine::reference(seed, Activity::default()));
        }
        let selector = device.parse().unwrap_or(DeviceSelector::Auto);
        Ok(Engine::on(Gpu::open(&selector, options)?, seed))
    }

    /// On an open device. Parameters start from their init under `seed`.
    pub fn on(gpu: Gpu, seed: u64) -> Engine {
        let store = Store::new(&gpu, seed);
        Engine::Gpu(Box::new(GpuEngine { gpu, store }))
    }

    fn reference(seed: u64, activity: Activity) -> Engine {
        Engine::Reference(ReferenceEngine { state: Tensors::new(), seed, activity })
    }

    /// The same engine, whose work is told to `activity`: it says which kernels are compiled and which steps submitted.
    #[must_use]
    pub fn with_activity(self, activity: Activity) -> Engine {
        match self {
            Engine::Gpu(engine) => {
                let GpuEngine { gpu, store } = *engine;
                Engine::Gpu(Box::new(GpuEngine { gpu: gpu.with_activity(activity), store }))
            }
            Engine::Reference(engine) => Engine::Reference(ReferenceEngine { activity, ..engine }),
        }
    }

    /// What the engine, and who uses it, are at.
    pub fn activity(&self) -> &Activity {
        match self {
            Engine::Gpu(engine) => engine.gpu.activity(),
            Engine::Reference(engine) => &engine.activity,
        }
    }

    /// An engine on the same device that shares nothing else with this one but a GPU's compiled pipelines: for another
    /// run or model, whose tensors may have the same names. Parameters start from their init under `seed`.
    #[must_use]
    pub fn fresh(&self, seed: u64) -> Engine {
        match self {
            Engine::Gpu(engine) => Engine::on(engine.gpu.clone(), seed),
            Engine::Reference(engine) => Engine::reference(seed, engine.activity.clone()),
        }
    }

    /// Kernels that come before the rule's, where a table has been applied to the device.
    pub fn tuned_kernels(&self) -> Choices {
        match self {
            Engine::Gpu(engine) => Choices::clone(&engine.gpu.profile().tuned),
            Engine::Reference(_) => Choices::default(),
        }
    }

    /// The device's name.
    pub fn name(&self) -> String {
        match self {
            Engine::Gpu(engine) => engine.gpu.info().name.clone(),
            Engine::Reference(_) => "CPU reference".to_owned(),
        }
    }

    /// Makes `graph` ready to run: kernels compiled, memory allocated. The training graph comes
    /// before the others, since its packs decide where parameters lie.
    ///
    /// # Errors
    /// When the device cannot run it.
    pub fn prepare(&mut self, graph: &Graph) -> Result<Executable, GpuError> {
        match self {
            Engine::Gpu(engine) => Ok(Executable::Gpu(Box::new(Program::new(&engine.gpu, graph, &mut engine.store)?))),
            Engine::Reference(engine) => {
                expect_memory(graph)?;
                for value in graph.values() {
                    let tensor = graph.tensor(value);
                    if let Role::Parameter { init, .. } | Role::Buffer { init } = &tensor.role {
                        engine.state.entry(tensor.name.clone()).or_insert_with(|| {
                            HostTensor::F32(init.values(&tensor.name, engine.seed, tensor.spec.elements()))
                        });
                    }
                }
                let program = ReferenceProgram { graph: graph.clone(), inputs: Tensors::new(), outputs: Vec::new() };
                Ok(Executable::Reference(Box::new(program)))
            }
        }
    }

    /// As [`Engine::prepare`], for a graph that never runs at the same time as `other`, with whose activations it shares
    /// memory.
    ///
    /// # Errors
    /// When the device cannot run it.
    pub fn prepare_beside(&mut self, graph: &Graph, other: &Executable) -> Result<Executable, GpuError> {
        match (self, other) {
            (Engine::Gpu(engine), Executable::Gpu(other)) => {
                let program = Program::beside(&engine.gpu, graph, &mut engine.store, other)?;
                Ok(Executable::Gpu(Box::new(program)))
            }
            (engine, _) => engine.prepare(graph),
        }
    }

    /// Submits one run of `program`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn run(&mut self, program: &mut Executable) -> Result<(), GpuError> {
        match (self, program) {
            (Engine::Gpu(_), Executable::Gpu(program)) => program.run(),
            (Engine::Reference(engine), Executable::Reference(program)) => {
                program.outputs = reference::run(&program.graph, &program.inputs, &mut engine.state);
                Ok(())
            }
            _ => Err(GpuError::Refused { reason: "the program was prepared on another engine".to_owned() }),
        }
    }

    /// Waits for a read that [`Executable::read_later`] began.
    ///
    /// # Errors
    /// When the device fails.
    pub fn finish(&self, pending: Pending) -> Result<HostTensor, GpuError> {
        match (self, pending) {
            (_, Pending::Ready(tensor)) => Ok(tensor),
            (Engine::Gpu(engine), Pending::Gpu(readback, element)) => {
                Ok(HostTensor::from_bytes(element, &readback.finish(&engine.gpu)?))
            }
            _ => Err(GpuError::Refused { reason: "the program was prepared on another engine".to_owned() }),
        }
    }

    /// A parameter, buffer or state tensor by name.
    ///
    /// # Errors
    /// When no prepared graph has it, or the device fails.
    pub fn state(&self, name: &str) -> Result<HostTensor, GpuError> {
        match self {
            Engine::Gpu(engine) => engine.store.read(name),
            Engine::Reference(engine) => engine.state.get(name).cloned().ok_or_else(|| unknown(name)),
        }
    }

    /// Overwrites a parameter, buffer or state tensor.
    ///
    /// # Errors
    /// When no prepared graph has it, or its size is another.
    pub fn set_state(&mut self, name: &str, tensor: &HostTensor) -> Result<(), GpuError> {
        match self {
            Engine::Gpu(engine) => engine.store.write(name, tensor),
            Engine::Reference(engine) => {
                let held = engine.state.get_mut(name).ok_or_else(|| unknown(name))?;
                if held.len() != tensor.len() {
                    let bytes = |tensor: &HostTensor| tensor.bytes().len() as u64;
                    return Err(GpuError::WrongSize {
                        name: name.to_owned(),
                        expected: bytes(held),
                        given: bytes(tensor),
                    });
                }
                *held = tensor.clone();
                Ok(())
            }
        }
    }
}

impl Executable {
    /// Sets an input for the next runs; an input that no node reads is left alone.
    ///
    /// # Errors
    /// When its size is another.
    pub fn write(&mut self, name: &str, tensor: HostTensor) -> Result<(), GpuError> {
        match self {
            Executable::Gpu(program) if program.has_input(name) => program.write(name, &tensor),
            Executable::Gpu(_) => Ok(()),
            Executable::Reference(program) => {
                program.inputs.insert(name.to_owned(), tensor);
                Ok(())
            }
        }
    }

    /// Begins to read an output of the last run while the device goes on.
    ///
    /// # Errors
    /// When the graph has no such output.
    pub fn read_later(&self, name: &str) -> Result<Pending, GpuError> {
        match self {
            Executable::Gpu(program) => {
                let (readback, element) = program.read_later(name)?;
                Ok(Pending::Gpu(Box::new(readback), element))
            }
            Executable::Reference(program) => {
                let index = program.graph.outputs().iter().position(|(output, _)| output == name);
                let tensor = index.and_then(|index| program.outputs.get(index));
                tensor.cloned().map(Pending::Ready).ok_or_else(|| unknown(name))
            }
        }
    }

    /// Device memory, where there is a device.
    pub fn memory(&self) -> Option<MemoryReport> {
        match self {
            Executable::Gpu(program) => Some(program.memory()),
            Executable::Reference(_) => None,
        }
    }
}

/// Asks whether the host has room for all tensors of a graph: what is too large is told before anything is computed, and
/// is not the end of the process.
fn expect_memory(graph: &Graph) -> Result<(), GpuError> {
    let bytes = graph.tensors().iter().map(|tensor| tensor.spec.bytes()).fold(0, u64::saturating_add);
    let has_room = usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    let largest = graph.tensors().iter().max_by_key(|tensor| tensor.spec.bytes());
    match largest {
        Some(largest) if !has_room => Err(GpuError::OutOfMemory {
            what: format!(
                "allocating {:.1} GiB for all tensors, of which `{}` {} is the largest",
                bytes as f64 / f64::from(1 << 30),
                largest.name,
                largest.spec.shape
            ),
        }),
        _ => Ok(()),
    }
}

fn unknown(name: &str) -> GpuError {
    GpuError::UnknownTensor { kind: "tensor", name: name.to_owned() }
}
