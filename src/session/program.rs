//! A graph that is ready to run, handles to what goes in and comes out, and results on their way.

use super::state::State;
use super::{Device, SessionError};
use crate::gpu::{self, KernelName, Readback};
use crate::graph::{Graph, Role};
use crate::plan::MemoryReport;
use crate::reference::{self, Tensors};
use crate::tensor::{ElementType, HostTensor, TensorSpec};
use half::f16;
use std::borrow::Cow;
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

struct OnReference {
    graph: Graph,
    inputs: Tensors,
    state: Arc<Mutex<State>>,
    /// The last run, or the one under way.
    run: Option<reference::Run>,
    is_under_way: bool,
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

/// Values for an input, where they lie.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// For an input of floats.
    F32(&'a [f32]),
    /// For an input of whole numbers, such as labels.
    U32(&'a [u32]),
}

/// An output on its way to the host. The device goes on meanwhile.
pub struct Pending {
    spec: TensorSpec,
    arrival: Arrival,
}

enum Arrival {
    Later(Box<Readback>),
    Now(HostTensor),
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
                let on_reference = |graph: &&Graph| OnReference {
                    graph: Graph::clone(graph),
                    inputs: Tensors::new(),
                    state: Arc::clone(state),
                    run: None,
                    is_under_way: false,
                };
                graphs.iter().map(|graph| Runs::Reference(Box::new(on_reference(graph)))).collect()
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
            Runs::Reference(program) => {
                let run = program.run.as_ref().ok_or(SessionError::NotRun)?;
                let given = |output: &Output| run.outputs[output.index].as_ref().ok_or(SessionError::NotRun);
                let mut all = outputs.iter().map(given).collect::<Result<Vec<_>, _>>()?;
                match (all.pop(), all.is_empty()) {
                    (Some(one), true) => Ok(Arrival::Now(one.clone())),
                    (last, _) => {
                        let values = all.into_iter().chain(last).flat_map(|tensor| tensor.f32());
                        Ok(Arrival::Now(HostTensor::F32(values.copied().collect())))
                    }
                }
            }
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

impl OnReference {
    /// Goes on with the run under way up to and with node `last`, or begins one; says whether it is over then.
    fn run_to(&mut self, last: usize, is_over: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Reference { tensors, .. } = &mut *state {
            let under_way = self.run.take().filter(|_| self.is_under_way);
            let mut run = under_way.unwrap_or_else(|| reference::Run::new(&self.graph));
            run.go_on(&self.graph, last, &self.inputs, tensors);
            self.run = Some(run);
            self.is_under_way = !is_over;
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

impl Pending {
    /// Waits for the values.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub fn wait(self) -> Result<HostTensor, SessionError> {
        pollster::block_on(self.arrive())
    }

    /// The values, when they are there: for where nothing may wait, such as a browser. Elsewhere the thread waits for them.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn arrive(self) -> Result<HostTensor, SessionError> {
        match self.arrival {
            Arrival::Later(readback) => Ok(HostTensor::from_bytes(&self.spec, &readback.arrive().await?)),
            Arrival::Now(tensor) => Ok(tensor),
        }
    }
}

impl Data<'_> {
    fn is_float(&self) -> bool {
        matches!(self, Data::F32(_))
    }

    fn len(&self) -> usize {
        match self {
            Data::F32(values) => values.len(),
            Data::U32(values) => values.len(),
        }
    }

    /// As a device holds them: a multiple of four bytes.
    fn bytes(&self, element: ElementType) -> Cow<'_, [u8]> {
        match (self, element) {
            (Data::F32(values), ElementType::F16) => {
                let halves = values.iter().map(|&value| f16::from_f32(value).to_ne_bytes());
                let end = if values.len() % 2 == 1 { &[0; 2][..] } else { &[] };
                Cow::Owned(halves.flatten().chain(end.iter().copied()).collect())
            }
            (Data::F32(values), _) => Cow::Borrowed(bytemuck::cast_slice(values)),
            (Data::U32(values), _) => Cow::Borrowed(bytemuck::cast_slice(values)),
        }
    }

    fn to_tensor(self) -> HostTensor {
        match self {
            Data::F32(values) => HostTensor::F32(values.to_vec()),
            Data::U32(values) => HostTensor::U32(values.to_vec()),
        }
    }
}

impl<'a> From<&'a HostTensor> for Data<'a> {
    fn from(tensor: &'a HostTensor) -> Self {
        match tensor {
            HostTensor::F32(values) => Data::F32(values),
            HostTensor::U32(values) => Data::U32(values),
        }
    }
}

impl<'a> From<&'a [f32]> for Data<'a> {
    fn from(values: &'a [f32]) -> Self {
        Data::F32(values)
    }
}

impl<'a> From<&'a [u32]> for Data<'a> {
    fn from(values: &'a [u32]) -> Self {
        Data::U32(values)
    }
}

impl<'a> From<&'a Vec<f32>> for Data<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Data::F32(values)
    }
}

impl<'a> From<&'a Vec<u32>> for Data<'a> {
    fn from(values: &'a Vec<u32>) -> Self {
        Data::U32(values)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for Data<'a> {
    fn from(values: &'a [f32; N]) -> Self {
        Data::F32(values)
    }
}

impl<'a, const N: usize> From<&'a [u32; N]> for Data<'a> {
    fn from(values: &'a [u32; N]) -> Self {
        Data::U32(values)
    }
}
