//! Runs cases in every variant of their kernels that a device can run.

use super::{Case, Difference, compare, run_on_device};
use crate::gpu::{Gpu, GpuError};
use crate::graph::{Graph, GraphError, Role, Value};
use crate::plan::{DeviceClass, Plan, PlanError, PlannedDispatch};
use crate::reference::{self, Tensors};
use crate::tensor::HostTensor;
use std::fmt;

/// Which kernels a device takes where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// What is fast on a GPU: tiles in workgroup memory.
    Gpu,
    /// What is fast on a CPU adapter: register tiles, no barriers.
    Cpu,
    /// One invocation an output: the measure of the others.
    Plain,
}

impl Variant {
    pub const ALL: [Variant; 3] = [Variant::Gpu, Variant::Cpu, Variant::Plain];

    /// `gpu`, taken for a device that wants this variant.
    pub fn of(self, gpu: &Gpu) -> Gpu {
        match self {
            Variant::Gpu => gpu.with_class(DeviceClass::Gpu),
            Variant::Cpu => gpu.with_class(DeviceClass::Cpu),
            Variant::Plain => gpu.with_plain_kernels(),
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Variant::Gpu => "kernels for GPUs",
            Variant::Cpu => "kernels for CPU adapters",
            Variant::Plain => "plain kernels",
        })
    }
}

/// A case that did not agree with the reference.
#[derive(Debug, thiserror::Error)]
pub enum CheckFailure {
    #[error("the case cannot be built: {0}")]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Gpu(#[from] GpuError),
    #[error("{difference}; kernels: {}", kernels.join(", "))]
    Wrong { difference: Difference, kernels: Vec<&'static str> },
    #[error("`{tensor}`: the bits of element {index} are {first:#010x} in one run and {second:#010x} in the next; kernels: {}", kernels.join(", "))]
    NotDeterministic { tensor: String, index: usize, first: u32, second: u32, kernels: Vec<&'static str> },
}

impl CheckFailure {
    /// Whether the device lacks what the case needs.
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self,
            CheckFailure::Gpu(GpuError::Plan(PlanError::Unsupported { .. } | PlanError::TensorTooLarge { .. }))
        )
    }
}

/// How a case went in one variant.
pub struct Verdict<'a> {
    pub case: &'a Case,
    pub variant: Variant,
    pub result: Result<(), CheckFailure>,
}

/// Runs every case on `gpu`, once for each variant that makes another plan of it, twice over, and
/// tells `report` each verdict.
///
/// Every output, gradient and updated tensor is held against the CPU reference, and the two runs
/// against each other, bit by bit.
pub fn sweep<'a>(gpu: &Gpu, cases: &'a [Case], mut report: impl FnMut(Verdict<'a>)) {
    for case in cases {
        let graph = match case.graph() {
            Ok(graph) => graph,
            Err(error) => {
                report(Verdict { case, variant: Variant::Plain, result: Err(error.into()) });
                continue;
            }
        };
        let tensors = case.tensors(&graph);
        let mut want_state = tensors.clone();
        let want = reference::run(&graph, &tensors, &mut want_state);
        let mut met: Vec<Plan> = Vec::new();
        for variant in Variant::ALL {
            let gpu = variant.of(gpu);
            let plan = match Plan::new(&graph, gpu.profile()) {
                Ok(plan) => plan,
                Err(error) => {
                    report(Verdict { case, variant, result: Err(GpuError::Plan(error).into()) });
                    continue;
                }
            };
            if met.iter().any(|earlier| same_dispatches(&earlier.steps, &plan.steps)) {
                continue;
            }
            let result = run_twice(&gpu, case, &graph, &tensors, &want, &want_state, &plan);
            report(Verdict { case, variant, result });
            met.push(plan);
        }
    }
}

fn same_dispatches(a: &[PlannedDispatch], b: &[PlannedDispatch]) -> bool {
    let same = |(a, b): (&PlannedDispatch, &PlannedDispatch)| a.kernel == b.kernel && a.workgroups == b.workgroups;
    a.len() == b.len() && a.iter().zip(b).all(same)
}

fn run_twice(
    gpu: &Gpu,
    case: &Case,
    graph: &Graph,
    tensors: &Tensors,
    want: &[HostTensor],
    want_state: &Tensors,
    plan: &Plan,
) -> Result<(), CheckFailure> {
    let (outputs, state) = run_on_device(gpu, graph, tensors)?;
    let (again, state_again) = run_on_device(gpu, graph, tensors)?;
    let results = graph.outputs().iter().zip(outputs.iter().zip(&again).zip(want));
    for ((name, value), ((got, again), want)) in results {
        let kernels = || kernels(plan, |node| node == maker(graph, *value));
        let wrong = |difference| CheckFailure::Wrong { difference, kernels: kernels() };
        compare(name, got, want, case.tolerance).map_err(wrong)?;
        same_bits(name, got, again, kernels)?;
    }
    for (name, got) in &state {
        let kernels = || kernels(plan, |node| node.is_some_and(|node| updates(graph, node)));
        let wrong = |difference| CheckFailure::Wrong { difference, kernels: kernels() };
        if let (Some(want), Some(again)) = (want_state.get(name), state_again.get(name)) {
            compare(name, got, want, case.tolerance).map_err(wrong)?;
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
        if !shaders.contains(&step.kernel.shader) {
            shaders.push(step.kernel.shader);
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
}
