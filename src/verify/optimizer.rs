//! Cases of kind `optimizer`: a few steps from given parameters under given gradients.

use super::case::Case;
use super::{CaseError, Computed};
use crate::graph::{Graph, Init, Role, Value};
use crate::ops::card::FixtureError;
use crate::optim::{Averaging, GradientTransform, Optimizer, UpdateConfig};
use crate::reference::Tensors;
use crate::session::{Device, run_once_async};
use crate::tensor::{HostTensor, TensorSpec};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, HashMap};

pub(super) async fn run(case: &Case, device: &Device) -> Result<Computed, CaseError> {
    let (config, lr) = config(case)?;
    let mut graph = Graph::new();
    let mut gradients: HashMap<Value, Value> = HashMap::new();
    let mut tensors = Tensors::new();
    let mut parameters = BTreeMap::new();
    for name in case.names() {
        let Some(parameter) = name.strip_prefix("param.").and_then(|name| name.strip_suffix(".init")) else { continue };
        let given = case.tensor(name)?;
        let value = graph.parameter(parameter, given.shape.clone(), Init::ZEROS)?;
        let gradient = graph.input(&format!("grad.{parameter}"), TensorSpec::f32(given.shape.clone()))?;
        gradients.insert(value, gradient);
        tensors.insert(parameter.to_owned(), HostTensor::F32(given.f32()?));
        parameters.insert(parameter, value);
    }
    let attached = config.attach(&mut graph, &gradients)?;
    for value in graph.buffers() {
        let buffer = graph.tensor(value);
        if let Role::Buffer { init, .. } = &buffer.role {
            let values = init.values(&buffer.name, 0, buffer.spec.elements());
            tensors.insert(buffer.name.clone(), HostTensor::F32(values));
        }
    }
    // What the case follows: the parameter, or the average kept of it.
    let mut followed: BTreeMap<&str, &str> = parameters.keys().map(|&name| (name, name)).collect();
    for (parameter, average) in &attached.averages {
        followed.insert(parameter, average);
        if let Some(start) = tensors.get(parameter).cloned() {
            tensors.insert(average.clone(), start);
        }
    }

    let mut computed = Computed::of(&["grad."]);
    for step in 0..steps(case)? {
        for name in parameters.keys() {
            let gradient = case.tensor(&format!("grad.{name}.{step}"))?.f32()?;
            tensors.insert(format!("grad.{name}"), HostTensor::F32(gradient));
        }
        for (name, values) in attached.inputs(step, lr) {
            tensors.insert(name.to_owned(), HostTensor::F32(values));
        }
        let (_, state) = run_once_async(device, &graph, &tensors).await?;
        tensors.extend(state);
        for (name, &value) in &parameters {
            let after = followed.get(name).and_then(|followed| tensors.get(*followed));
            if let Some(after) = after {
                computed.insert_f32(format!("param.{name}.{step}"), graph.shape(value).clone(), after.f32());
            }
        }
    }
    for (name, &value) in &parameters {
        let name = format!("param.{name}.init");
        let start = case.tensor(&name)?.f32()?;
        computed.insert_f32(name, graph.shape(value).clone(), &start);
    }
    Ok(computed)
}

fn steps(case: &Case) -> Result<u64, CaseError> {
    let steps = case.value("steps").and_then(Json::as_u64);
    steps.ok_or_else(|| CaseError::Metadata { reason: "it has no count `steps`".to_owned() })
}

/// The update that the case describes, and its learning rate.
fn config(case: &Case) -> Result<(UpdateConfig, f64), CaseError> {
    let name = case.text("optimizer")?;
    let mut rule = case.attrs.clone();
    let mut take = |attribute: &str| rule.shift_remove(attribute);
    let lr = number(name, "lr", take("lr"))?;
    let mut transform = Map::new();
    for attribute in ["l1", "clip_grad_value", "clip_grad_norm", "maximize"] {
        transform.extend(take(attribute).map(|value| (attribute.to_owned(), value)));
    }
    let transform: GradientTransform = serde_json::from_value(Json::Object(transform))
        .map_err(|reason| CaseError::Metadata { reason: format!("its gradient transform: {reason}") })?;
    let (rule_name, averaging) = match name {
        "ema" => {
            let decay = take("decay").unwrap_or_else(|| 0.999.into());
            ("sgd", Some(Averaging::Ema { decay: number(name, "decay", Some(decay))?, warmup: false }))
        }
        "swa" => {
            let start = take("swa_start").unwrap_or_else(|| 0.into());
            ("sgd", Some(Averaging::Swa { start: number(name, "swa_start", Some(start))? as u64, every: 1 }))
        }
        _ => (name, None),
    };
    let optimizer = Optimizer::from_attributes(rule_name, &rule)?;
    Ok((UpdateConfig { transform, averaging, ..UpdateConfig::new(optimizer) }, lr))
}

fn number(of: &str, attribute: &str, value: Option<Json>) -> Result<f64, FixtureError> {
    let (of, attribute) = (of.to_owned(), attribute.to_owned());
    match value {
        None => Err(FixtureError::MissingAttribute { of, attribute }),
        Some(value) => value.as_f64().ok_or_else(|| FixtureError::BadAttribute {
            of,
            attribute,
            value: value.to_string(),
            expected: "a number".to_owned(),
        }),
    }
}
