//! Cases of kind `loss`: a mean over rows of logits, and its gradient.

use super::case::Case;
use super::{CaseError, Computed, build};
use crate::graph::Graph;
use crate::ops::card::FixtureError;
use crate::reference::Tensors;
use crate::session::{Device, run_once};
use crate::tensor::{HostTensor, TensorSpec};

pub(super) fn run(case: &Case, device: &Device) -> Result<Computed, CaseError> {
    let mut graph = Graph::new();
    let mut tensors = Tensors::new();
    let given = case.tensor("in.logits")?;
    let shape = given.shape.clone();
    let logits = graph.input("logits", TensorSpec::f32(shape.clone()))?;
    tensors.insert("logits".to_owned(), HostTensor::F32(given.f32()?));
    let given = case.tensor("in.target")?;
    let target = graph.input("target", TensorSpec::u32(given.shape.clone()))?;
    tensors.insert("target".to_owned(), HostTensor::U32(given.classes()?));

    let operands = [("in.logits", logits), ("in.target", target)].map(|(name, value)| (name.to_owned(), value));
    let loss = build(case, case.text("loss")?, true, &mut graph, operands.into())?;
    let gradients = graph.gradients(loss, &[logits])?;
    let gradient =
        *gradients.get(&logits).ok_or_else(|| FixtureError::MissingTensor { tensor: "grad.logits".to_owned() })?;
    graph.output("loss", loss);
    graph.output("grad.logits", gradient);
    let (outputs, _) = run_once(device, &graph, &tensors)?;
    let mut computed = Computed::of(&["in."]);
    for ((name, value), output) in graph.outputs().iter().zip(&outputs) {
        computed.insert_f32(name, graph.shape(*value).clone(), output.f32());
    }
    Ok(computed)
}
