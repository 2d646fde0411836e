//! Conformance cases of models: their parameters, and PyTorch's numbers on the CPU reference.

use safetensors::SafeTensors;
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tilewright::check::{Tolerance, compare_values};
use tilewright::graph::{Graph, Role, Value};
use tilewright::models::{self, Model, ModelOptions};
use tilewright::nn::{Mode, Scope};
use tilewright::ops::CrossEntropy;
use tilewright::random::{fnv1a64, splitmix64};
use tilewright::reference::{self, Tensors};
use tilewright::tensor::{HostTensor, TensorSpec};

/// One conformance case of kind `model`.
struct Case {
    name: String,
    about: Map<String, Json>,
    bytes: Vec<u8>,
}

/// The model cases in the folder `CONFORMANCE_CASES`, else beside this repository, or none.
fn cases() -> Vec<Case> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/cases");
    let folder = std::env::var_os("CONFORMANCE_CASES").map_or(beside, PathBuf::from);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: there are no conformance cases in {}", folder.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files.iter().filter_map(|file| case(file)).collect()
}

fn case(file: &Path) -> Option<Case> {
    let bytes = std::fs::read(file).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let about: Map<String, Json> = serde_json::from_str(&header.metadata().as_ref()?["case"]).unwrap();
    let name = about["name"].as_str()?.to_owned();
    (about["kind"] == "model").then_some(Case { name, about, bytes })
}

impl Case {
    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    fn values(&self, name: &str) -> Option<Vec<f64>> {
        let tensors = self.tensors();
        let view = tensors.tensor(name).ok()?;
        Some(bytemuck::pod_collect_to_vec::<u8, f32>(view.data()).into_iter().map(f64::from).collect())
    }

    fn model(&self) -> Option<&'static Model> {
        models::find(self.about["model"].as_str()?).ok()
    }

    /// What the case names; stochastic depth is 0 in every case, whether it is named or not.
    fn options(&self) -> ModelOptions {
        let options = ModelOptions::from(self.about["attrs"].as_object().unwrap().clone());
        let takes = |model: &Model| model.attributes.iter().any(|(name, _)| *name == "stochastic_depth");
        match self.model().is_some_and(takes) {
            true => options.with("stochastic_depth", 0.0),
            false => options,
        }
    }

    /// The model for the case's images, or its own where it has none.
    fn graph(&self, model: &Model, mode: Mode) -> (Graph, Value) {
        let options = self.options();
        let mut shape: Vec<usize> = [&[2][..], &model.input(&options).unwrap()].concat();
        if let Some(input) = self.about.get("input") {
            shape = serde_json::from_value(input.clone()).unwrap();
        }
        let mut graph = Graph::new();
        let x = graph.input("input", TensorSpec::f32(shape)).unwrap();
        let logits = model.build(&mut Scope::new(&mut graph, mode), x, &options).unwrap();
        graph.output("logits", logits);
        (graph, logits)
    }
}

#[test]
fn conformance_cases_have_the_parameters_of_the_models() {
    let (mut checked, mut skipped) = (0, 0);
    for case in cases() {
        let Some(model) = case.model() else {
            println!("skipped: {}: no such model", case.name);
            skipped += 1;
            continue;
        };
        let (graph, _) = case.graph(model, Mode::Train);
        let tensors = case.tensors();
        if let Ok(count) = tensors.tensor("param_count") {
            let count = bytemuck::pod_collect_to_vec::<u8, i64>(count.data())[0];
            assert_eq!(graph.parameter_count() as i64, count, "{}", case.name);
        }
        let prefixed = |prefix: &str| -> BTreeSet<String> {
            tensors.names().iter().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
        };
        let named = |values: Vec<Value>| -> BTreeSet<String> {
            values.into_iter().map(|value| graph.tensor(value).name.clone()).collect()
        };
        for (prefix, of_graph) in
            [("grad_norm.", graph.parameters().collect()), ("after_sample.", graph.buffers().collect())]
        {
            let expected = prefixed(prefix);
            if !expected.is_empty() {
                assert_eq!(named(of_graph), expected, "{}", case.name);
            }
        }
        for (name, view) in tensors.tensors() {
            if let Some(parameter) = name.strip_prefix("grad_sample.") {
                let elements = graph.shape(graph.find(parameter).unwrap()).elements();
                assert_eq!(view.shape(), [elements.min(8)], "{} {parameter}", case.name);
            }
        }
        checked += 1;
    }
    println!("{checked} cases checked, {skipped} skipped");
}

/// The values that both sides make by the rule of the cases' README.
fn filled(graph: &Graph) -> Tensors {
    let mut tensors = Tensors::new();
    for value in graph.values() {
        let tensor = graph.tensor(value);
        let (name, shape) = (&tensor.name, &tensor.spec.shape);
        let fan_in = shape.elements() / shape[0];
        let rule = |v: f64| match &tensor.role {
            Role::Input => v,
            _ if shape.len() >= 2 => v * (6.0 / fan_in as f64).sqrt(),
            _ if name.ends_with("running_var") => 1.0 + 0.5 * v.abs(),
            _ if name.ends_with("bias") || name.ends_with("running_mean") => 0.1 * v,
            _ => 1.0 + 0.1 * v,
        };
        if !matches!(tensor.role, Role::Node { .. } | Role::Pack { .. }) {
            let values = (0..shape.elements()).map(|i| rule((raw(name, i) >> 40) as f64 / 8_388_608.0 - 1.0) as f32);
            tensors.insert(name.clone(), HostTensor::F32(values.collect()));
        }
    }
    tensors
}

fn raw(name: &str, index: usize) -> u64 {
    splitmix64(fnv1a64(name.as_bytes()).wrapping_add((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn f64s(tensor: &HostTensor) -> Vec<f64> {
    tensor.f32().iter().map(|&value| f64::from(value)).collect()
}

fn samples(values: &[f64]) -> Vec<f64> {
    let count = values.len().min(8);
    (0..count).map(|j| values[j * values.len() / count]).collect()
}

/// Runs a case on the CPU reference, and gives how many of its tensors were compared.
fn run(case: &Case, model: &Model) -> usize {
    let number = |key: &str| case.about[key].as_f64().unwrap();
    let tolerance = Tolerance { relative: number("rtol"), absolute: number("atol") };
    let mut compared = 0;
    let mut check = |name: &str, got: Vec<f64>| {
        if let Some(want) = case.values(name) {
            compare_values(name, &got, &want, tolerance).unwrap_or_else(|wrong| panic!("{}: {wrong}", case.name));
            compared += 1;
        }
    };
    let (graph, _) = case.graph(model, Mode::Eval);
    let mut state = filled(&graph);
    check("logits_eval", f64s(&reference::run(&graph, &state.clone(), &mut state)[0]));

    let (mut graph, logits) = case.graph(model, Mode::Train);
    let [rows, classes] = [graph.shape(logits)[0], graph.shape(logits)[1]];
    let target = graph.input("target", TensorSpec::u32([rows])).unwrap();
    let loss = graph.apply(CrossEntropy { label_smoothing: 0.0 }, &[logits, target]).unwrap()[0];
    graph.output("loss", loss);
    let wanted = |value: &Value| case.values(&format!("grad_norm.{}", graph.tensor(*value).name)).is_some();
    let parameters: Vec<Value> = graph.parameters().filter(wanted).collect();
    let gradients = graph.gradients(loss, &parameters).unwrap();
    for parameter in &parameters {
        graph.output("gradient", gradients[parameter]);
    }
    let mut state = filled(&graph);
    let targets = (0..rows).map(|row| (raw("target", row) % classes as u64) as u32).collect();
    state.insert("target".to_owned(), HostTensor::U32(targets));
    let outputs = reference::run(&graph, &state.clone(), &mut state);
    check("logits_train", f64s(&outputs[0]));
    check("loss", f64s(&outputs[1]));
    for (&parameter, gradient) in parameters.iter().zip(&outputs[2..]) {
        let name = &graph.tensor(parameter).name;
        let gradient = f64s(gradient);
        check(&format!("grad_norm.{name}"), vec![gradient.iter().map(|g| g * g).sum::<f64>().sqrt()]);
        check(&format!("grad_sample.{name}"), samples(&gradient));
    }
    for buffer in graph.buffers() {
        let name = &graph.tensor(buffer).name;
        check(&format!("after_sample.{name}"), samples(&f64s(&state[name])));
    }
    compared
}

/// Runs the cases of one model.
fn reproduce(name: &str) {
    let mut ran = 0;
    for case in cases().iter().filter(|case| case.about["model"] == name && case.about.contains_key("input")) {
        let compared = run(case, models::find(name).unwrap());
        let expected = case.tensors().len() - usize::from(case.tensors().tensor("param_count").is_ok());
        assert_eq!(compared, expected, "every tensor of {} was compared", case.name);
        ran += 1;
    }
    match ran {
        0 => println!("skipped: there is no case of {name} to run"),
        _ => println!("{ran} cases of {name} ran"),
    }
}

#[test]
fn conformance_lenet5_is_reproduced_by_the_reference() {
    reproduce("lenet5");
}

#[test]
fn conformance_cifar_cnn_is_reproduced_by_the_reference() {
    reproduce("cifar_cnn");
}

#[test]
fn conformance_cs231n_cnn_is_reproduced_by_the_reference() {
    reproduce("cs231n_cnn");
}

#[test]
fn conformance_resnet18_cifar_is_reproduced_by_the_reference() {
    reproduce("resnet18_cifar");
}

#[test]
fn conformance_resnet18_is_reproduced_by_the_reference() {
    reproduce("resnet18");
}

#[test]
fn conformance_mobilenet_v2_is_reproduced_by_the_reference() {
    reproduce("mobilenet_v2");
}

#[test]
fn conformance_googlenet_is_reproduced_by_the_reference() {
    reproduce("googlenet");
}

#[test]
fn conformance_densenet121_is_reproduced_by_the_reference() {
    reproduce("densenet121");
}

#[test]
fn conformance_vgg11_bn_is_reproduced_by_the_reference() {
    reproduce("vgg11_bn");
}

#[test]
fn conformance_every_other_model_is_reproduced_by_the_reference() {
    let done = [
        "lenet5",
        "cifar_cnn",
        "cs231n_cnn",
        "resnet18_cifar",
        "resnet18",
        "mobilenet_v2",
        "googlenet",
        "densenet121",
        "vgg11_bn",
    ];
    for model in models::all().filter(|model| !done.contains(&model.name)) {
        reproduce(model.name);
    }
}
