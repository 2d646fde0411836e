//! Activations in ONNX: its operators, computed as its standard defines them, give the activation's value.

use std::collections::HashMap;
use std::f64::consts::PI;
use tilewright::graph::{Graph, OnnxConstant, OnnxGraph, OnnxOperator, OnnxValue};
use tilewright::ops::Activation;
use tilewright::tensor::TensorSpec;

const ALL: [Activation; 20] = [
    Activation::Relu,
    Activation::Relu6,
    Activation::LeakyRelu { negative_slope: 0.1 },
    Activation::Elu { alpha: 1.3 },
    Activation::Selu,
    Activation::Celu { alpha: 0.6 },
    Activation::Celu { alpha: 2.5 },
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Silu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Mish,
    Activation::Softplus { beta: 1.0, threshold: 20.0 },
    Activation::Softplus { beta: 0.7, threshold: 20.0 },
    Activation::Softplus { beta: 1.0, threshold: 1.5 },
    Activation::Softplus { beta: -2.0, threshold: 3.0 },
    Activation::Hardtanh { min: -1.5, max: 2.25 },
    Activation::HardSigmoid,
    Activation::HardSwish,
];

#[test]
fn every_activation_is_the_same_in_the_operators_of_onnx() {
    for activation in ALL {
        let [two, three] = [2, 3].map(|batch| graph(activation, batch));
        let mut onnx = OnnxGraph::new(&two, &three, "images");
        for node in two.nodes() {
            onnx.add(node).unwrap();
        }
        for step in -80..=80 {
            let x = f64::from(step) * 0.3137;
            let (got, want) = (run(&onnx, x), activation.value(x));
            let error = (got - want).abs();
            assert!(
                error <= 1e-6 * want.abs() + 1e-7,
                "{activation:?} of {x} is {want}, and {got} in {:?}",
                onnx.operators
            );
        }
    }
}

fn graph(activation: Activation, batch: usize) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("images", TensorSpec::f32(vec![batch, 5])).unwrap();
    let y = graph.apply_one(activation, &[x]).unwrap();
    graph.output("y", y);
    graph
}

/// What the last operator gives for x.
fn run(onnx: &OnnxGraph<'_>, x: f64) -> f64 {
    let mut known: HashMap<&str, f64> = HashMap::from([("images", x)]);
    for (name, constant) in &onnx.constants {
        let OnnxConstant::Floats { elements, .. } = constant else { panic!("{constant:?}") };
        known.insert(name, f64::from(elements[0]));
    }
    let mut last = f64::NAN;
    for operator in &onnx.operators {
        let inputs: Vec<f64> = operator.inputs.iter().map(|name| known[name.as_str()]).collect();
        last = apply(operator, &inputs);
        known.insert(&operator.output, last);
    }
    last
}

/// As <https://onnx.ai/onnx/operators> defines them, in operator set 17.
fn apply(operator: &OnnxOperator, inputs: &[f64]) -> f64 {
    let attribute = |name: &str, default: f64| {
        let given = operator.attributes.iter().find(|attribute| attribute.name == name);
        given.map_or(default, |attribute| match attribute.value {
            OnnxValue::Float(value) => f64::from(value),
            ref other => panic!("{name} is {other:?}"),
        })
    };
    let x = inputs[0];
    match operator.kind {
        "Relu" => x.max(0.0),
        "LeakyRelu" => x.max(attribute("alpha", 0.01) * x),
        "Elu" if x < 0.0 => attribute("alpha", 1.0) * x.exp_m1(),
        "Elu" => x,
        "Selu" if x <= 0.0 => attribute("gamma", 1.0507) * attribute("alpha", 1.67326) * x.exp_m1(),
        "Selu" => attribute("gamma", 1.0507) * x,
        "Celu" => {
            let alpha = attribute("alpha", 1.0);
            x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0)
        }
        "Sigmoid" => 1.0 / (1.0 + (-x).exp()),
        "Tanh" => x.tanh(),
        "Softplus" => (x.exp() + 1.0).ln(),
        "Erf" => erf(x),
        "HardSigmoid" => (attribute("alpha", 0.2) * x + attribute("beta", 0.5)).clamp(0.0, 1.0),
        "HardSwish" => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        "Clip" => x.max(inputs[1]).min(inputs[2]),
        "Add" => x + inputs[1],
        "Mul" => x * inputs[1],
        "Div" => x / inputs[1],
        "Greater" => f64::from(x > inputs[1]),
        "Where" if x == 1.0 => inputs[1],
        "Where" => inputs[2],
        other => panic!("{other} is not expected"),
    }
}

/// The integral of 2 / sqrt(pi) exp(-t^2) from 0 to x, by Simpson's rule.
fn erf(x: f64) -> f64 {
    const PARTS: u32 = 2000;
    // Beyond 6 it is 1 in f64.
    let end = x.clamp(-6.0, 6.0);
    let width = end / f64::from(PARTS);
    let weight = |part: u32| if part == 0 || part == PARTS { 1.0 } else { f64::from(2 + 2 * (part % 2)) };
    let sum: f64 = (0..=PARTS).map(|part| weight(part) * (-(f64::from(part) * width).powi(2)).exp()).sum();
    2.0 / PI.sqrt() * width / 3.0 * sum
}
