//! Cases of kind `op`: one op alone, its gradients under a given upstream gradient, and the buffers
//! it changes.

use super::case::Case;
use super::{CaseError, Computed, build};
use crate::graph::{Graph, Init, Value};
use crate::reference::Tensors;
use crate::session::{Device, run_once_async};
use crate::tensor::{HostTensor, TensorSpec};
use std::collections::BTreeMap;

pub(super) async fn run(case: &Case, device: &Device) -> Result<Computed, CaseError> {
    let name = case.text("op")?;
    let train = match case.text("mode")? {
        "train" => true,
        "eval" => false,
        other => return Err(CaseError::Metadata { reason: format!("its mode is `{other}`, not `train` or `eval`") }),
    };
    let mut graph = Graph::new();
    let mut tensors = Tensors::new();
    let mut operands = BTreeMap::new();
    for name in case.names() {
        let given = case.tensor(name)?;
        let spec = TensorSpec::f32(given.shape.clone());
        let value = match name.split('.').next() {
            Some("in" | "dout") => graph.input(name, spec)?,
            Some("param") => graph.parameter(name, given.shape.clone(), Init::ZEROS)?,
            Some("buf") => graph.buffer(name, given.shape.clone(), Init::ZEROS)?,
            _ => continue,
        };
        tensors.insert(name.to_owned(), HostTensor::F32(given.f32()?));
        operands.insert(name.to_owned(), value);
    }
    let out = build(case, name, train, &mut graph, operands.clone())?;

    let mut computed = Computed::of(&["in.", "param.", "buf.", "dout"]);
    graph.output("out", out);
    if let Some(&dout) = operands.get("dout") {
        add_gradients(&mut graph, out, dout, &operands)?;
    }
    let (outputs, state) = run_once_async(device, &graph, &tensors).await?;
    for ((name, value), output) in graph.outputs().iter().zip(&outputs) {
        computed.insert_f32(name, graph.shape(*value).clone(), output.f32());
    }
    for (name, &value) in &operands {
        if let (Some(buffer), Some(after)) = (name.strip_prefix("buf."), state.get(name)) {
            computed.insert_f32(format!("after.{buffer}"), graph.shape(value).clone(), after.f32());
        }
    }
    Ok(computed)
}

/// Names the gradient of every input and parameter as an output.
fn add_gradients(
    graph: &mut Graph,
    out: Value,
    dout: Value,
    operands: &BTreeMap<String, Value>,
) -> Result<(), CaseError> {
    if graph.shape(out) != graph.shape(dout) {
        let (got, want) = (graph.shape(out).clone(), graph.shape(dout).clone());
        return Err(CaseError::Shape { tensor: "out".to_owned(), got, want });
    }
    let wanted: Vec<(&str, Value)> = operands
        .iter()
        .filter_map(|(name, &value)| {
            let name = name.strip_prefix("in.").or_else(|| name.strip_prefix("param."))?;
            Some((name, value))
        })
        .collect();
    let values: Vec<Value> = wanted.iter().map(|&(_, value)| value).collect();
    let gradients = graph.backward(&[(out, dout)], &values)?;
    for (name, value) in wanted {
        if let Some(&gradient) = gradients.get(&value) {
            graph.output(&format!("grad.{name}"), gradient);
        }
    }
    Ok(())
}
