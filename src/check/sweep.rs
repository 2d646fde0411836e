//! Runs cases in every variant of their kernels that a device can run.

use super::{Case, Difference, Tolerance, compare};
use crate::gpu::{Gpu, GpuError};
use crate::graph::{Graph, GraphError, Role, Value};
use crate::kernel::{DeviceClass, DeviceProfile};
use crate::plan::{Plan, PlannedDispatch};
use crate::reference::{self, Tensors};
use crate::session::{SessionError, run_once_async};
use crate::tensor::HostTensor;
use std::fmt;

/// Which kernels a device takes where there is a choice, and what their tensors are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Variant {
    /// What is fast on a GPU: tiles in workgroup memory.
    Gpu,
    /// What is fast on a GPU whose threads have few registers: smaller tiles.
    FewRegisters,
    /// What is fast on a CPU adapter: register tiles, no barriers.
    Cpu,
    /// One invocation per output: the measure of the others.
    Plain,
    /// As [`Variant::Gpu`], with features stored in f16.
    GpuHalf,
    /// As [`Variant::Cpu`], with features stored in f16.
    CpuHalf,
    /// As [`Variant::Plain`], with features stored in f16.
    PlainHalf,
    /// What is fast on a GPU with matrix units: factors in f16, sums in f32.
    MatrixUnits,
    /// What the device's own table names, where it names another than the rule.
    Tuned,
}

/// What the tensors of a case are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    /// All in f32.
    Full,
    /// The inputs in f16, and what is made of them in f32: there is nothing to round.
    HalfInputs,
    /// In f16, as far as ops store it so.
    Half,
}

impl Variant {
    /// Those in f32, which every device has.
    pub const EXACT: [Variant; 4] = [Variant::Gpu, Variant::FewRegisters, Variant::Cpu, Variant::Plain];

    /// Those of any device with f16.
    pub const HALF: [Variant; 3] = [Variant::GpuHalf, Variant::CpuHalf, Variant::PlainHalf];

    /// All that a device has.
    pub fn on(profile: &DeviceProfile) -> Vec<Variant> {
        let tuned = (!profile.tuned.is_empty()).then_some(Variant::Tuned);
        let halves: &[Variant] = if profile.half { &Variant::HALF } else { &[] };
        let units = profile.matrix_units.map(|_| Variant::MatrixUnits);
        Variant::EXACT.into_iter().chain(tuned).chain(halves.iter().copied()).chain(units).collect()
    }

    /// Whether its tensors are stored in f16.
    pub fn is_half(self) -> bool {
        self.stored() != Stored::Full
    }

    fn stored(self) -> Stored {
        match self {
            Variant::Gpu | Variant::FewRegisters | Variant::Cpu | Variant::Plain | Variant::Tuned => Stored::Full,
            Variant::GpuHalf | Variant::CpuHalf | Variant::PlainHalf => Stored::Half,
            Variant::MatrixUnits => Stored::HalfInputs,
        }
    }

    /// `gpu`, taken for a device that wants this variant.
    pub fn of(self, gpu: &Gpu) -> Gpu {
        match self {
            Variant::Gpu => gpu.with_class(DeviceClass::Gpu),
            Variant::FewRegisters => gpu.with_class(DeviceClass::Gpu).with_few_registers(),
            Variant::Cpu => gpu.with_class(DeviceClass::Cpu),
            Variant::Plain => gpu.with_plain_kernels(),
            Variant::GpuHalf => gpu.with_class(DeviceClass::Gpu).without_matrix_units(),
            Variant::CpuHalf => gpu.with_class(DeviceClass::Cpu).without_matrix_units(),
            Variant::PlainHalf => gpu.with_plain_kernels().without_matrix_units(),
            Variant::MatrixUnits => gpu.with_class(DeviceClass::Gpu),
            Variant::Tuned => gpu.clone(),
        }
    }

    /// How far this variant may be from the reference where an exact one may be as far as `exact`.
    ///
    /// On matrix units both sides start from numbers that f16 has ([`in_half`]), whose products are exact in
    /// f32. What remains are the additions. Units may cut each of them off instead of rounding it, which is
    /// up to 2^-23 of the sum for every 8 steps; the longest reduction of a case, 16,400 steps of a part, comes
    /// to 2.5e-4. Sums kept in f16 would be off by more than 1e-3.
    ///
    /// What is stored in f16 is off by up to 2^-10 of itself where a device cuts off what the reference rounds. A
    /// gradient is made of a value that is, and is so stored itself: twice that.
    fn tolerance(self, exact: Tolerance) -> Tolerance {
        match self.stored() {
            Stored::Full => exact,
            Stored::HalfInputs => Tolerance { relative: exact.relative.max(3e-4), ..exact },
            Stored::Half => Tolerance { relative: exact.relative + 2.0 / 1024.0, ..exact },
        }
    }
}

/// The tensors with every float replaced by one that f16 has, and that is not subnormal there.
///
/// Which way a device rounds f32 to f16, and whether it keeps subnormal numbers, Vulkan leaves open. Of such
/// numbers there is nothing to round, so the comparison can be tight.
fn in_half(tensors: &Tensors) -> Tensors {
    let half = |value: f32| match half::f16::from_f32(value) {
        half if half.is_normal() || !half.is_finite() => half.to_f32(),
        _ => 0.0,
    };
    let mut rounded = tensors.clone();
    for tensor in rounded.values_mut() {
        if let HostTensor::F32(values) = tensor {
            values.iter_mut().for_each(|value| *value = half(*value));
        }
    }
    rounded
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Variant::Gpu => "kernels for GPUs",
            Variant::FewRegisters => "kernels for GPUs with few registers",
            Variant::Cpu => "kernels for CPU adapters",
            Variant::Plain => "plain kernels",
            Variant::GpuHalf => "kernels for GPUs, in f16",
            Variant::CpuHalf => "kernels for CPU adapters, in f16",
            Variant::PlainHalf => "plain kernels, in f16",
            Variant::MatrixUnits => "kernels for matrix units",
            Variant::Tuned => "kernels of the table",
        })
    }
}

/// A case that did not agree with the reference.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum CheckFailure {
    #[error("the case cannot be built: {0}")]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("{difference}; kernels: {}", kernels.join(", "))]
    Wrong { difference: Difference, kernels: Vec<&'static str> },
    #[error("`{tensor}`: the bits of element {index} are {first:#010x} in one run and {second:#010x} in the next; kernels: {}", kernels.join(", "))]
    NotDeterministic { tensor: String, index: usize, first: u32, second: u32, kernels: Vec<&'static str> },
}

impl CheckFailure {
    /// Whether the device lacks what the case needs.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, CheckFailure::Session(error) if error.is_unsupported())
    }
}

/// How a case went in one variant.
#[non_exhaustive]
pub struct Verdict<'a> {
    /// What was run.
    pub case: &'a Case,
    /// The kernels that it was run with.
    pub variant: Variant,
    /// Whether every element agreed, twice.
    pub result: Result<(), CheckFailure>,
}

/// A case in one form: its graph, what it starts from, and what the CPU reference makes of it.
struct Expected {
    stored: Stored,
    graph: Graph,
    tensors: Tensors,
    outputs: Vec<HostTensor>,
    state: Tensors,
}

impl Expected {
    fn of(case: &Case, graph: &Graph, stored: Stored) -> Self {
        let tensors = case.tensors(graph);
        let (graph, tensors) = match stored {
            Stored::Full => (graph.clone(), tensors),
            Stored::HalfInputs => (graph.inputs_in_half(), in_half(&tensors)),
            // Merged before, so that what a kernel keeps in registers is rounded on neither side.
            Stored::Half => (graph.fuse_activations().all_in_half(), in_half(&tensors)),
        };
        let mut state = tensors.clone();
        let outputs = reference::run(&graph, &tensors, &mut state);
        Expected { stored, graph, tensors, outputs, state }
    }
}

/// Runs every case on `gpu`, once for each of the variants that makes another plan of it, twice over, and
/// tells `report` each verdict.
///
/// Every output, gradient and updated tensor is held against the CPU reference, and the two runs
/// against each other, bit by bit.
#[cfg(blocking)]
pub fn sweep<'a>(gpu: &Gpu, variants: &[Variant], cases: &'a [Case], report: impl FnMut(Verdict<'a>)) {
    pollster::block_on(sweep_async(gpu, variants, cases, report));
}

/// As [`sweep`], where nothing may wait.
pub async fn sweep_async<'a>(gpu: &Gpu, variants: &[Variant], cases: &'a [Case], mut report: impl FnMut(Verdict<'a>)) {
    for case in cases {
        let graph = match case.graph() {
            Ok(graph) => graph,
            Err(error) => {
                report(Verdict { case, variant: Variant::Plain, result: Err(error.into()) });
                continue;
            }
        };
        let mut forms: Vec<Expected> = Vec::new();
        let mut met: Vec<Plan> = Vec::new();
        for &variant in variants.iter().filter(|variant| !variant.is_half() || !case.only_exact) {
            let stored = variant.stored();
            let index = forms.iter().position(|form| form.stored == stored).unwrap_or_else(|| {
                forms.push(Expected::of(case, &graph, stored));
                forms.len() - 1
            });
            let (expected, gpu) = (&forms[index], variant.of(gpu));
            let plan = match Plan::new(&expected.graph, gpu.profile()) {
                Ok(plan) => plan,
                Err(error) => {
                    let error = SessionError::from(GpuError::from(error));
                    report(Verdict { case, variant, result: Err(error.into()) });
                    continue;
                }
            };
            let is_another = variant != Variant::MatrixUnits || plan.steps.iter().any(on_matrix_units);
            if !is_another || met.iter().any(|earlier| same_dispatches(&earlier.steps, &plan.steps)) {
                continue;
            }
            let result = run_twice(&gpu, variant.tolerance(case.tolerance), expected, &plan).await;
            report(Verdict { case, variant, result });
            met.push(plan);
        }
    }
}

impl Case {
    /// Runs the case on `gpu` in every variant, as [`sweep`] does.
    ///
    /// # Errors
    /// The failure of the first variant that fails.
    #[cfg(blocking)]
    pub fn check(&self, gpu: &Gpu) -> Result<(), CheckFailure> {
        let mut failures = Vec::new();
        let variants = Variant::on(gpu.profile());
        sweep(gpu, &variants, std::slice::from_ref(self), |verdict| failures.extend(verdict.result.err()));
        failures.into_iter().next().map_or(Ok(()), Err)
    }
}

fn on_matrix_units(step: &PlannedDispatch) -> bool {
    step.kernel.shader.name == "conv/cooperative_tile"
}

/// Whether two plans of one graph run the same kernels on the same grids.
pub(crate) fn same_dispatches(a: &[PlannedDispatch], b: &[PlannedDispatch]) -> bool {
    let same = |(a, b): (&PlannedDispatch, &PlannedDispatch)| a.kernel == b.kernel && a.workgroups == b.workgroups;
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// Runs `graph` twice on `gpu`, and holds every output against `want`, and the two runs against each other.
///
/// # Errors
/// The first element that is wrong, or the device's failure.
#[cfg(blocking)]
pub(crate) fn reproduces(gpu: &Gpu, graph: &Graph, tensors: &Tensors, want: &[HostTensor]) -> Result<(), CheckFailure> {
    let plan = Plan::new(graph, gpu.profile()).map_err(GpuError::from).map_err(SessionError::from)?;
    let (graph, tensors, state) = (graph.clone(), tensors.clone(), tensors.clone());
    let expected = Expected { stored: Stored::Full, graph, tensors, outputs: want.to_vec(), state };
    pollster::block_on(run_twice(gpu, Tolerance::default(), &expected, &plan))
}

async fn run_twice(gpu: &Gpu, tolerance: Tolerance, expected: &Expected, plan: &Plan) -> Result<(), CheckFailure> {
    let (device, graph) = (gpu.clone().into(), &expected.graph);
    let (outputs, state) = run_once_async(&device, graph, &expected.tensors).await?;
    let (again, state_again) = run_once_async(&device, graph, &expected.tensors).await?;
    let results = graph.outputs().iter().zip(outputs.iter().zip(&again).zip(&expected.outputs));
    for ((name, value), ((got, again), want)) in results {
        let kernels = || kernels(plan, |node| node == maker(graph, *value));
        let wrong = |difference| CheckFailure::Wrong { difference, kernels: kernels() };
        compare(name, got, want, tolerance).map_err(wrong)?;
        same_bits(name, got, again, kernels)?;
    }
    for (name, got) in &state {
        let kernels = || kernels(plan, |node| node.is_some_and(|node| updates(graph, node)));
        let wrong = |difference| CheckFailure::Wrong { difference, kernels: kernels() };
        if let (Some(want), Some(again)) = (expected.state.get(name), state_again.get(name)) {
            compare(name, got, want, tolerance).map_err(wrong)?;
            same_bits(name, got, again, kernels)?;
        }
    }
    Ok(())
}

fn same_bits(
    tensor: &str,
    first: &HostTensor,
    second: &HostTensor,
    kernels: impl Fn() -> Vec<&'static str>,
) -> Result<(), CheckFailure> {
    let words = |tensor: &HostTensor| -> Vec<u32> { bytemuck::pod_collect_to_vec(tensor.bytes()) };
    let (a, b) = (words(first), words(second));
    match a.iter().zip(&b).position(|(a, b)| a != b) {
        None => Ok(()),
        Some(index) => {
            let (first, second) = (a[index], b[index]);
            Err(CheckFailure::NotDeterministic { tensor: tensor.to_owned(), index, first, second, kernels: kernels() })
        }
    }
}

/// The node that makes a value.
fn maker(graph: &Graph, value: Value) -> Option<usize> {
    match graph.tensor(value).role {
        Role::Node { node, .. } => Some(node),
        _ => None,
    }
}

fn updates(graph: &Graph, node: usize) -> bool {
    !graph.nodes()[node].op.updates().is_empty()
}

/// The shaders of the nodes that `chosen` picks, each once.
fn kernels(plan: &Plan, chosen: impl Fn(Option<usize>) -> bool) -> Vec<&'static str> {
    let mut shaders: Vec<&'static str> = Vec::new();
    for step in plan.steps.iter().filter(|step| chosen(Some(step.node))) {
        if !shaders.contains(&step.kernel.shader.name) {
            shaders.push(step.kernel.shader.name);
        }
    }
    shaders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_agree_only_with_the_same_bits() {
        let agree = |a: HostTensor, b: HostTensor| same_bits("y", &a, &b, Vec::new).is_ok();
        assert!(agree(HostTensor::F32(vec![1.0, f32::NAN]), HostTensor::F32(vec![1.0, f32::NAN])));
        assert!(!agree(HostTensor::F32(vec![1.0, 0.0]), HostTensor::F32(vec![1.0, -0.0])));
        assert!(!agree(HostTensor::F32(vec![1.0]), HostTensor::F32(vec![1.0 + f32::EPSILON])));
        assert!(!agree(HostTensor::U32(vec![3]), HostTensor::U32(vec![4])));
    }

    #[test]
    fn inputs_of_matrix_units_are_numbers_that_f16_has_in_any_rounding() {
        let tensors = Tensors::from([("x".to_owned(), HostTensor::F32(vec![0.1, -1.0, 1e-5, 0.0]))]);
        let rounded = in_half(&tensors);
        assert_eq!(rounded["x"].f32(), [0.099_975_586, -1.0, 0.0, 0.0]);
    }
}
