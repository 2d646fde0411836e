//! Cases of kind `loss`: a mean over rows of logits, and its gradient.

use super::attributes::Attributes;
use super::case::Case;
use super::{CaseError, Computed};
use crate::graph::{Graph, Value};
use crate::ops::{CrossEntropy, Loss};
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

    let loss = build(&mut graph, case, logits, target)?;
    let gradients = graph.gradients(loss, &[logits])?;
    let gradient =
        *gradients.get(&logits).ok_or_else(|| CaseError::MissingTensor { tensor: "grad.logits".to_owned() })?;
    graph.output("loss", loss);
    graph.output("grad.logits", gradient);
    let (outputs, _) = run_once(device, &graph, &tensors)?;
    let mut computed = Computed::of(&["in."]);
    for ((name, value), output) in graph.outputs().iter().zip(&outputs) {
        computed.insert_f32(name, graph.shape(*value).clone(), output.f32());
    }
    Ok(computed)
}

/// Adds the loss of a case: the table from its name to the graph.
fn build(graph: &mut Graph, case: &Case, logits: Value, target: Value) -> Result<Value, CaseError> {
    let name = case.text("loss")?;
    let mut attributes = Attributes::new(name, &case.attrs);
    let inputs = [logits, target];
    let outputs = match name {
        "cross_entropy" => {
            let label_smoothing = attributes.number("label_smoothing", Some(0.0))? as f32;
            graph.apply(CrossEntropy { label_smoothing }, &inputs)?
        }
        "focal" => {
            let alpha = attributes.number("alpha", Some(1.0))? as f32;
            let gamma = attributes.number("gamma", Some(2.0))? as f32;
            graph.apply(Loss::Focal { alpha, gamma }, &inputs)?
        }
        "mse" => graph.apply(Loss::Mse, &inputs)?,
        "mse_softmax" => graph.apply(Loss::MseSoftmax, &inputs)?,
        "nll" => graph.apply(Loss::Nll, &inputs)?,
        _ => return Err(CaseError::unsupported(format!("the loss `{name}`"))),
    };
    attributes.finish()?;
    Ok(outputs[0])
}
