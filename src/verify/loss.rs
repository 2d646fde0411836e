//! Cases of kind `loss`: a mean over rows of logits, and its gradient. Targets are class indices or, of f32, numbers for
//! each class; weights are inputs.

use super::case::Case;
use super::{CaseError, Computed, build};
use crate::graph::Graph;
use crate::ops::card::FixtureError;
use crate::reference::Tensors;
use crate::session::{Device, run_once_async};
use crate::tensor::{HostTensor, TensorSpec};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) async fn run(case: &Case, device: &Device) -> Result<Computed, CaseError> {
    let mut graph = Graph::new();
    let mut tensors = Tensors::new();
    let given = case.tensor("in.logits")?;
    let shape = given.shape.clone();
    let logits = graph.input("logits", TensorSpec::f32(shape.clone()))?;
    tensors.insert("logits".to_owned(), HostTensor::F32(given.f32()?));
    let mut operands = BTreeMap::from([("in.logits".to_owned(), logits)]);
    for name in case.names().filter(|name| name.starts_with("in.") && *name != "in.logits") {
        let given = case.tensor(name)?;
        let is_classes = name == "in.target" && !given.is_f32();
        let (spec, values) = match is_classes {
            true => (TensorSpec::u32(given.shape.clone()), HostTensor::U32(given.classes(ignored(case))?)),
            false => (TensorSpec::f32(given.shape.clone()), HostTensor::F32(given.f32()?)),
        };
        operands.insert(name.to_owned(), graph.input(name, spec)?);
        tensors.insert(name.to_owned(), values);
    }
    let loss = build(case, case.text("loss")?, true, &mut graph, operands)?;
    let gradients = graph.gradients(loss, &[logits])?;
    let gradient =
        *gradients.get(&logits).ok_or_else(|| FixtureError::MissingTensor { tensor: "grad.logits".to_owned() })?;
    graph.output("loss", loss);
    graph.output("grad.logits", gradient);
    let (outputs, _) = run_once_async(device, &graph, &tensors).await?;
    let mut computed = Computed::of(&["in."]);
    for ((name, value), output) in graph.outputs().iter().zip(&outputs) {
        computed.insert_f32(name, graph.shape(*value).clone(), output.f32());
    }
    Ok(computed)
}

/// The index that marks a row as none that counts: PyTorch's, where the case has none.
fn ignored(case: &Case) -> i64 {
    case.attrs.get("ignore_index").and_then(Value::as_i64).unwrap_or(-100)
}
