//! A graph that is ready to run, and handles to what goes in and comes out.

use super::data::Data;
use super::on_reference::OnReference;
use super::pending::{Arrival, Pending};
use super::state::State;
use super::{Device, SessionError};
use crate::gpu::{self, KernelName};
use crate::graph::{Graph, Role};
use crate::plan::MemoryReport;
use crate::reference;
use crate::tensor::{ElementType, TensorSpec};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A graph on its device. A handle to an input or an output is found by its name once, and used in every run.
///
/// ```
/// use tilewright::graph::Graph;
/// use tilewright::ops::Scale;
/// use tilewright::session::{Device, Session};
/// use tilewright::tensor::TensorSpec;
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", TensorSpec::f32([2]))?;
/// let y = graph.apply_one(Scale { factor: 3.0 }, &[x])?;
/// graph.output("y", y);
/// let [mut program] = Session::new(&Device::reference(), 1).prepare([&graph])?;
/// let (input, output) = (program.input("x")?, program.output("y")?);
/// for step in 0..3 {
///     program.write(input, &[1.0f32, step as f32])?;
///     program.run()?;
///     assert_eq!(program.read(output)?.wait()?.f32(), [3.0, 3.0 * step as f32]);
/// }
/// assert!(program.input("z").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Program {
    /// Tells handles of one program from those of another.
    id: u64,
    inputs: Vec<(String, TensorSpec)>,
    outputs: Vec<(String, TensorSpec)>,
    /// The last node that each output needs.
    made_by: Vec<usize>,
    runs: Runs,
}

enum Runs {
    Gpu(Box<gpu::Program>),
    Reference(Box<OnReference>),
}

/// An input of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    program: u64,
    index: usize,
}

/// An output of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    program: u64,
    index: usize,
}

static PROGRAMS: AtomicU64 = AtomicU64::new(0);

impl Program {
    pub(super) async fn prepare(
        device: &Device,
        graphs: &[&Graph],
        state: &Arc<Mutex<State>>,
        beside: Option<&Program>,
    ) -> Result<Vec<Program>, SessionError> {
        let programs = Program::prepared(device, graphs, state, beside)?;
        if let Some(gpu) = device.gpu() {
            gpu.settle().await?;
        }
        Ok(programs)
    }

    fn prepared(
        device: &Device,
        graphs: &[&Graph],
        state: &Arc<Mutex<State>>,
        beside: Option<&Program>,
    ) -> Result<Vec<Program>, SessionError> {
        let mut locked = state.lock().unwrap_or_else(PoisonError::into_inner);
        let runs: Vec<Runs> = match (&mut *locked, device.gpu()) {
            (State::Gpu(store), Some(gpu)) => {
                let beside = match beside.map(|program| &program.runs) {
                    Some(Runs::Gpu(program)) => Some(&**program),
                    _ => None,
                };
                let programs = gpu::Program::prepare(gpu, graphs, store, beside)?;
                programs.into_iter().map(|program| Runs::Gpu(Box::new(program))).collect()
            }
            (State::Reference { tensors, seed }, _) => {
                for graph in graphs {
                    reference::expect_memory(graph)?;
                    State::begin(tensors, *seed, graph);
                }
                let on_reference = |graph: &&Graph| Runs::Reference(Box::new(OnReference::new(graph, state)));
                graphs.iter().map(on_reference).collect()
            }
            (State::Gpu(_), None) => return Err(SessionError::OtherProgram { kind: "device" }),
        };
        Ok(graphs.iter().zip(runs).map(|(graph, runs)| Program::new(graph, runs)).collect())
    }

    fn new(graph: &Graph, runs: Runs) -> Program {
        let inputs = graph.tensors().iter().filter(|tensor| tensor.role == Role::Input);
        Program {
            id: PROGRAMS.fetch_add(1, Ordering::Relaxed),
            inputs: inputs.map(|tensor| (tensor.name.clone(), tensor.spec.clone())).collect(),
            outputs: graph.outputs().iter().map(|(name, value)| (name.clone(), graph.spec(*value).clone())).collect(),
            made_by: graph.outputs().iter().map(|(_, value)| graph.last_writer(*value)).collect(),
            runs,
        }
    }

    /// The input of that name.
    ///
    /// # Errors
    /// When the graph has none.
    pub fn input(&self, name: &str) -> Result<Input, SessionError> {
        let index = find(&self.inputs, "input", name)?;
        Ok(Input { program: self.id, index })
    }

    /// The output of that name.
    ///
    /// # Errors
    /// When the graph has none.
    pub fn output(&self, name: &str) -> Result<Output, SessionError> {
        let index = find(&self.outputs, "output", name)?;
        Ok(Output { program: self.id, index })
    }

    /// Names and shapes of the inputs.
    pub fn inputs(&self) -> &[(String, TensorSpec)] {
        &self.inputs
    }

    /// Names and shapes of the outputs.
    pub fn outputs(&self) -> &[(String, TensorSpec)] {
        &self.outputs
    }

    /// Sets an input for the next runs.
    ///
    /// # Errors
    /// When it is the input of another program, or has another type or size.
    pub fn write<'a>(&mut self, input: Input, data: impl Into<Data<'a>>) -> Result<(), SessionError> {
        if input.program != self.id {
            return Err(SessionError::OtherProgram { kind: "input" });
        }
        let (name, spec) = &self.inputs[input.index];
        let data = data.into();
        if data.is_float() != spec.element.is_float() || data.len() != spec.elements() {
            let (shape, expected) = (spec.shape.clone(), spec.element);
            let (given, element) = (data.len(), if data.is_float() { ElementType::F32 } else { ElementType::U32 });
            return Err(SessionError::WrongInput { name: name.clone(), shape, expected, given, element });
        }
        match &mut self.runs {
            Runs::Gpu(program) => program.write(name, &data.bytes(spec.element)),
            Runs::Reference(program) => {
                program.inputs.insert(name.clone(), data.to_tensor());
            }
        }
        Ok(())
    }

    /// Submits one run, or the rest of one that was [begun](Program::run_to); returns as soon as few enough are queued.
    ///
    /// # Errors
    /// When the device failed in this or an earlier run.
    #[cfg(blocking)]
    pub fn run(&mut self) -> Result<(), SessionError> {
        pollster::block_on(self.run_async())
    }

    /// Submits the part of a run that has not been submitted and that `outputs` need: these can be read, and inputs that
    /// only later nodes take can be written, before [`Program::run`] ends the run.
    ///
    /// ```
    /// use tilewright::graph::Graph;
    /// use tilewright::ops::{Mul, Scale};
    /// use tilewright::session::{Device, Session};
    /// use tilewright::tensor::TensorSpec;
    ///
    /// let mut graph = Graph::new();
    /// let [x, factor] = ["x", "factor"].map(|name| graph.input(name, TensorSpec::f32([2])));
    /// let (x, factor) = (x?, factor?);
    /// let half = graph.apply_one(Scale { factor: 0.5 }, &[x])?;
    /// let whole = graph.apply_one(Mul, &[half, factor])?;
    /// graph.output("half", half);
    /// graph.output("whole", whole);
    /// let [mut program] = Session::new(&Device::reference(), 1).prepare([&graph])?;
    /// program.write(program.input("x")?, &[4.0f32, 6.0])?;
    /// program.run_to(&[program.output("half")?])?;
    /// let read = program.read(program.output("half")?)?.wait()?;
    /// assert_eq!(read.f32(), [2.0, 3.0]);
    /// program.write(program.input("factor")?, read.f32())?;
    /// program.run()?;
    /// let both = program.read_all(&[program.output("half")?, program.output("whole")?])?.wait()?;
    /// assert_eq!(both.f32(), [2.0, 3.0, 4.0, 9.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When one is the output of another program.
    pub fn run_to(&mut self, outputs: &[Output]) -> Result<(), SessionError> {
        let mut last = None;
        for output in outputs {
            self.expect_own(*output)?;
            last = last.max(Some(self.made_by[output.index]));
        }
        let Some(last) = last else { return Ok(()) };
        match &mut self.runs {
            Runs::Gpu(program) => program.run_to(last),
            Runs::Reference(program) => program.run_to(last, false),
        }
        Ok(())
    }

    /// As [`Program::run`], where nothing may wait.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub async fn run_async(&mut self) -> Result<(), SessionError> {
        match &mut self.runs {
            Runs::Gpu(program) => Ok(program.run().await?),
            Runs::Reference(program) => {
                program.run_to(usize::MAX, true);
                Ok(())
            }
        }
    }

    /// Waits until every submitted run is done.
    ///
    /// # Errors
    /// When the device failed.
    #[cfg(blocking)]
    pub fn finish(&mut self) -> Result<(), SessionError> {
        pollster::block_on(self.finish_async())
    }

    /// As [`Program::finish`], where nothing may wait.
    ///
    /// # Errors
    /// As [`Program::finish`].
    pub async fn finish_async(&mut self) -> Result<(), SessionError> {
        match &mut self.runs {
            Runs::Gpu(program) => Ok(program.finish().await?),
            Runs::Reference(_) => Ok(()),
        }
    }

    /// Begins to read an output of the last run while the device goes on.
    ///
    /// # Errors
    /// When it is the output of another program, or nothing has run.
    pub fn read(&self, output: Output) -> Result<Pending, SessionError> {
        self.expect_own(output)?;
        let (_, spec) = &self.outputs[output.index];
        Ok(Pending { spec: spec.clone(), arrival: self.arrival(&[output])? })
    }

    /// As [`Program::read`], of outputs of f32 that come one after another, in one copy from the device.
    ///
    /// # Errors
    /// As [`Program::read`], or when there is one of another type.
    pub fn read_all(&self, outputs: &[Output]) -> Result<Pending, SessionError> {
        let mut elements = 0;
        for &output in outputs {
            self.expect_own(output)?;
            let (name, spec) = &self.outputs[output.index];
            if spec.element != ElementType::F32 {
                return Err(SessionError::NotF32 { name: name.clone(), element: spec.element });
            }
            elements += spec.elements();
        }
        Ok(Pending { spec: TensorSpec::f32([elements]), arrival: self.arrival(outputs)? })
    }

    fn arrival(&self, outputs: &[Output]) -> Result<Arrival, SessionError> {
        match &self.runs {
            Runs::Gpu(program) => {
                let names = outputs.iter().map(|output| self.outputs[output.index].0.as_str());
                Ok(Arrival::Later(Box::new(program.read(names)?)))
            }
            Runs::Reference(program) => Ok(Arrival::Now(program.read(outputs.iter().map(|output| output.index))?)),
        }
    }

    fn expect_own(&self, output: Output) -> Result<(), SessionError> {
        match output.program == self.id {
            true => Ok(()),
            false => Err(SessionError::OtherProgram { kind: "output" }),
        }
    }

    /// Fills all memory that the kernels write before they read it with NaN, so that an element that no kernel writes is
    /// seen. The reference has no such memory.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub fn poison(&self) -> Result<(), SessionError> {
        pollster::block_on(self.poison_async())
    }

    /// As [`Program::poison`], where nothing may wait.
    ///
    /// # Errors
    /// As [`Program::poison`].
    pub async fn poison_async(&self) -> Result<(), SessionError> {
        match &self.runs {
            Runs::Gpu(program) => Ok(program.poison().await?),
            Runs::Reference(_) => Ok(()),
        }
    }

    /// Device memory, where there is a device.
    pub fn memory(&self) -> Option<MemoryReport> {
        self.on_gpu().map(gpu::Program::memory)
    }

    /// Which kernel each dispatch runs, in order; none on the reference.
    pub fn kernels(&self) -> Vec<KernelName> {
        self.on_gpu().map(|program| program.kernels().collect()).unwrap_or_default()
    }

    /// Whether the device itself times kernels in [`Program::run_timed`].
    pub fn has_timestamps(&self) -> bool {
        self.on_gpu().is_some_and(gpu::Program::has_timestamps)
    }

    /// Runs once, and gives start and length of each dispatch, in seconds; none on the reference.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub fn run_timed(&mut self) -> Result<Vec<[f64; 2]>, SessionError> {
        match &mut self.runs {
            Runs::Gpu(program) => Ok(program.run_timed()?),
            Runs::Reference(_) => self.run().map(|()| Vec::new()),
        }
    }

    fn on_gpu(&self) -> Option<&gpu::Program> {
        match &self.runs {
            Runs::Gpu(program) => Some(program),
            Runs::Reference(_) => None,
        }
    }
}

fn find(named: &[(String, TensorSpec)], kind: &'static str, name: &str) -> Result<usize, SessionError> {
    named.iter().position(|(known, _)| known == name).ok_or_else(|| SessionError::Unknown {
        kind,
        name: name.to_owned(),
        known: named.iter().map(|(known, _)| known.clone()).collect(),
    })
}
