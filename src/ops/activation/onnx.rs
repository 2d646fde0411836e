//! Activations in ONNX's operators.

use super::Activation;
use super::formulas::{SELU, gelu_polynomial};
use crate::graph::{OnnxAttribute, OnnxNode};

pub(super) fn write(activation: Activation, node: &mut OnnxNode<'_, '_>) {
    let inputs = node.inputs();
    let x = inputs[0].clone();
    let alpha = |alpha| vec![OnnxAttribute::float("alpha", alpha)];
    match activation {
        Activation::Relu => node.give("Relu", inputs, vec![]),
        Activation::LeakyRelu { negative_slope } => node.give("LeakyRelu", inputs, alpha(negative_slope)),
        Activation::Elu { alpha: slope } => node.give("Elu", inputs, alpha(slope)),
        Activation::Celu { alpha: slope } => node.give("Celu", inputs, alpha(slope)),
        Activation::Selu => {
            let [slope, scale] = SELU.map(|value| value as f32);
            node.give("Selu", inputs, [alpha(slope), vec![OnnxAttribute::float("gamma", scale)]].concat());
        }
        Activation::Sigmoid => node.give("Sigmoid", inputs, vec![]),
        Activation::Tanh => node.give("Tanh", inputs, vec![]),
        Activation::HardSigmoid => node.give("HardSigmoid", inputs, alpha(1.0 / 6.0)),
        Activation::HardSwish => node.give("HardSwish", inputs, vec![]),
        Activation::Relu6 => clip(node, x, [0.0, 6.0]),
        Activation::Hardtanh { min, max } => clip(node, x, [min, max]),
        Activation::Silu => {
            let gate = node.step("Sigmoid", inputs, vec![]);
            node.give("Mul", vec![x, gate], vec![]);
        }
        // x * (1/2 + erf(x / sqrt(2)) / 2): ONNX has a Gelu since operator set 20.
        Activation::Gelu => {
            let [half, root] = [0.5, std::f32::consts::FRAC_1_SQRT_2].map(|value| node.scalar(value));
            let scaled = node.step("Mul", vec![x.clone(), root], vec![]);
            let erf = node.step("Erf", vec![scaled], vec![]);
            let halved = node.step("Mul", vec![erf, half.clone()], vec![]);
            let share = node.step("Add", vec![halved, half], vec![]);
            node.give("Mul", vec![x, share], vec![]);
        }
        // x * sigmoid(linear * x + cubic * x^3).
        Activation::GeluTanh => {
            let [linear, cubic] = gelu_polynomial().map(|value| node.scalar(value as f32));
            let square = node.step("Mul", vec![x.clone(), x.clone()], vec![]);
            let scaled = node.step("Mul", vec![square, cubic], vec![]);
            let factor = node.step("Add", vec![scaled, linear], vec![]);
            let exponent = node.step("Mul", vec![x.clone(), factor], vec![]);
            let share = node.step("Sigmoid", vec![exponent], vec![]);
            node.give("Mul", vec![x, share], vec![]);
        }
        // ONNX has a Mish since operator set 18.
        Activation::Mish => {
            let softplus = node.step("Softplus", inputs, vec![]);
            let gate = node.step("Tanh", vec![softplus], vec![]);
            node.give("Mul", vec![x, gate], vec![]);
        }
        Activation::Softplus { beta, threshold } => softplus(node, x, [beta, threshold]),
    }
}

fn clip(node: &mut OnnxNode<'_, '_>, x: String, bounds: [f32; 2]) {
    let [least, most] = bounds.map(|bound| node.scalar(bound));
    node.give("Clip", vec![x, least, most], vec![]);
}

fn softplus(node: &mut OnnxNode<'_, '_>, x: String, [beta, threshold]: [f32; 2]) {
    // From here on ln(1 + exp(t)) and t are the same in f32, with or without a threshold.
    const SAME: f32 = 17.0;
    if beta == 1.0 && threshold >= SAME {
        return node.give("Softplus", vec![x], vec![]);
    }
    let [sharpness, bound] = [beta, threshold].map(|value| node.scalar(value));
    let sharp = node.step("Mul", vec![x.clone(), sharpness.clone()], vec![]);
    let bent = node.step("Softplus", vec![sharp.clone()], vec![]);
    let bent = node.step("Div", vec![bent, sharpness], vec![]);
    let is_above = node.step("Greater", vec![sharp, bound], vec![]);
    node.give("Where", vec![is_above, x, bent], vec![]);
}
