//! Cases of kind `model`: a whole network in inference and in one training pass, parameters filled by
//! name.

use super::case::Case;
use super::{CaseError, Computed, filling};
use crate::graph::{Graph, Value};
use crate::models::{self, Model, ModelOptions, Takes};
use crate::nn::{Mode, Scope};
use crate::ops::CrossEntropy;
use crate::reference::Tensors;
use crate::session::{Device, run_once_async};
use crate::tensor::{HostTensor, TensorSpec};
use serde_json::{Map, Value as Json};

/// What is not by parameter or buffer comes first in the names of expected tensors.
const FORWARD: &str = "logits_eval";
const TRAINING: [&str; 5] = ["logits_train", "loss", "grad_norm.", "grad_sample.", "after_sample."];

/// Elements of a tensor that a case samples.
const SAMPLES: usize = 8;

pub(super) async fn run(case: &Case, device: &Device) -> Result<Computed, CaseError> {
    let model = models::find(case.text("model")?)?;
    let options = options(&case.attrs, model);
    let mut computed = Computed::of(&[]);
    let expects = |starts: &[&str]| case.names().any(|name| starts.iter().any(|start| name.starts_with(start)));
    let Some(shape) = input_shape(case)? else {
        count_parameters(&model.graph(&options, 1, Mode::Eval)?.graph, &mut computed);
        return Ok(computed);
    };
    let mut graph = Graph::new();
    let logits = build(&mut graph, model, &options, &shape, Mode::Eval)?;
    count_parameters(&graph, &mut computed);
    if expects(&[FORWARD]) {
        graph.output(FORWARD, logits);
        let (outputs, _) = run_once_async(device, &graph, &filled(&graph, logits)).await?;
        insert_outputs(&graph, &outputs, &mut computed);
    }
    if expects(&TRAINING) {
        train(case, model, &options, &shape, device, &mut computed).await?;
    }
    Ok(computed)
}

/// The case's attributes; a probability that it does not name is 0, since every case runs without
/// dropout and stochastic depth.
fn options(attributes: &Map<String, Json>, model: &Model) -> ModelOptions {
    let mut options = ModelOptions::from(attributes.clone());
    for (name, takes) in model.attributes {
        if matches!(takes, Takes::Probability(_)) && options.get(name).is_none() {
            options = options.with(name, 0.0);
        }
    }
    options
}

fn input_shape(case: &Case) -> Result<Option<Vec<usize>>, CaseError> {
    let Some(value) = case.value("input") else { return Ok(None) };
    let size = |value: &Json| value.as_u64().filter(|size| (1..1 << 24).contains(size)).map(|size| size as usize);
    let sizes = value.as_array().and_then(|sizes| sizes.iter().map(size).collect::<Option<Vec<usize>>>());
    let reason = || CaseError::Metadata { reason: format!("its `input` is {value}, not [N, C, H, W]") };
    sizes.filter(|sizes| sizes.len() == 4).ok_or_else(reason).map(Some)
}

fn build(
    graph: &mut Graph,
    model: &Model,
    options: &ModelOptions,
    shape: &[usize],
    mode: Mode,
) -> Result<Value, CaseError> {
    let x = graph.input("input", TensorSpec::f32(shape))?;
    Ok(model.build(&mut Scope::new(graph, mode), x, options)?)
}

fn count_parameters(graph: &Graph, computed: &mut Computed) {
    computed.insert("param_count", [1], [graph.parameter_count() as f64]);
}

/// One pass in training mode with the mean cross-entropy: loss, gradients, updated statistics.
async fn train(
    case: &Case,
    model: &Model,
    options: &ModelOptions,
    shape: &[usize],
    device: &Device,
    computed: &mut Computed,
) -> Result<(), CaseError> {
    let mut graph = Graph::new();
    let logits = build(&mut graph, model, options, shape, Mode::Train)?;
    graph.output("logits_train", logits);
    let rows = graph.shape(logits).first().copied().unwrap_or(1);
    let target = graph.input("target", TensorSpec::u32([rows]))?;
    let loss = graph.apply(CrossEntropy::default(), &[logits, target])?[0];
    graph.output("loss", loss);
    let parameters: Vec<Value> = match case.names().any(|name| name.starts_with("grad_")) {
        true => graph.trainable().collect(),
        false => Vec::new(),
    };
    let gradients = graph.gradients(loss, &parameters)?;
    for parameter in &parameters {
        if let Some(&gradient) = gradients.get(parameter) {
            let name = format!("grad.{}", graph.tensor(*parameter).name);
            graph.output(&name, gradient);
        }
    }
    let (outputs, state) = run_once_async(device, &graph, &filled(&graph, logits)).await?;
    insert_outputs(&graph, &outputs, computed);
    for buffer in graph.buffers() {
        let name = &graph.tensor(buffer).name;
        if let Some(after) = state.get(name) {
            insert_samples(computed, format!("after_sample.{name}"), after.f32());
        }
    }
    Ok(())
}

/// Inputs, targets, parameters and buffers by the rule.
fn filled(graph: &Graph, logits: Value) -> Tensors {
    let mut tensors = Tensors::new();
    for value in graph.parameters().chain(graph.buffers()) {
        let tensor = graph.tensor(value);
        tensors.insert(tensor.name.clone(), HostTensor::F32(filling::tensor(&tensor.name, &tensor.spec.shape)));
    }
    if let Some(input) = graph.find("input") {
        tensors.insert("input".to_owned(), HostTensor::F32(filling::input(graph.shape(input).elements())));
    }
    if let [rows, classes] = graph.shape(logits)[..] {
        tensors.insert("target".to_owned(), HostTensor::U32(filling::targets(rows, classes)));
    }
    tensors
}

/// Logits and loss as they are; of a gradient its norm and samples.
fn insert_outputs(graph: &Graph, outputs: &[HostTensor], computed: &mut Computed) {
    for ((name, value), output) in graph.outputs().iter().zip(outputs) {
        let values = output.f32();
        match name.strip_prefix("grad.") {
            None => computed.insert_f32(name, graph.shape(*value).clone(), values),
            Some(parameter) => {
                // In f64, so that a hundred million squares do not lose digits.
                let square: f64 = values.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
                computed.insert(format!("grad_norm.{parameter}"), [1], [square.sqrt()]);
                insert_samples(computed, format!("grad_sample.{parameter}"), values);
            }
        }
    }
}

/// The elements at floor(j * numel / k), j = 0..k-1, k = min(8, numel).
fn insert_samples(computed: &mut Computed, name: String, values: &[f32]) {
    let count = SAMPLES.min(values.len());
    let samples: Vec<f32> = (0..count).map(|j| values[j * values.len() / count]).collect();
    computed.insert_f32(name, [count], &samples);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Layers of a model that drop something, with these attributes of a case.
    fn dropping(model: &Model, attributes: &Json) -> usize {
        let options = options(attributes.as_object().unwrap(), model);
        let graph = model.graph(&options, 2, Mode::Train).unwrap_or_else(|error| panic!("{error}")).graph;
        graph.nodes().iter().filter(|node| node.op.name() == "dropout").count()
    }

    #[test]
    fn a_case_runs_without_dropout_and_stochastic_depth_unless_it_names_them() {
        for model in models::all() {
            assert_eq!(dropping(model, &json!({})), 0, "{}", model.name);
        }
        let network = models::find("efficientnet_b0").unwrap();
        assert_eq!(dropping(network, &json!({ "dropout": 0.2 })), 1);
        assert_eq!(dropping(network, &json!({ "stochastic_depth": 0.2 })), 9);
    }
}
