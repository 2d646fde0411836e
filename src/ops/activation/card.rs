//! The card of activations, and the cases of what is merged into the kernels of other ops.

use super::Activation;
use crate::graph::{Graph, GraphError, Value};
use crate::ops::Add;
use crate::ops::card::{
    Card, Case, Chapter, Entry, FOLDING, Fixture, FixtureError, INFINITY, NAN, NO_GRADIENT, Reader, SAME, set, unary,
};
use crate::tensor::{TensorSpec, Tensors};

/// An activation's row: its gradient from its output, or from its input.
const fn activation(name: &'static str, computes: &'static str, gradient: &'static str) -> Entry {
    let shaders = &["activation/forward", "activation/functions"];
    Entry { name, computes, shapes: SAME, gradient, shaders, flops: "elements of y" }
}

const FROM_OUTPUT: &str = "activation_backward, from y";
const FROM_INPUT: &str = "activation_backward, from x";

pub(crate) static CARD: Card = Card::new(
    Chapter::Activation,
    &[
        activation("relu", "max(x, 0)", FROM_OUTPUT),
        activation("relu6", "min(max(x, 0), 6)", FROM_OUTPUT),
        activation("leaky_relu", "x above 0, negative_slope * x below", FROM_INPUT),
        activation("elu", "x above 0, alpha * (exp(x) - 1) below", FROM_INPUT),
        activation("selu", "1.0507 (x above 0, 1.6733 (exp(x) - 1) below)", FROM_INPUT),
        activation("celu", "x above 0, alpha * (exp(x / alpha) - 1) below", FROM_INPUT),
        activation("sigmoid", "1 / (1 + exp(-x))", FROM_OUTPUT),
        activation("tanh", "tanh(x)", FROM_OUTPUT),
        activation("silu", "x * sigmoid(x)", FROM_INPUT),
        activation("gelu", "x * Phi(x), Phi the standard normal distribution, exact", FROM_INPUT),
        activation("gelu_tanh", "x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))", FROM_INPUT),
        activation("mish", "x * tanh(ln(1 + exp(x)))", FROM_INPUT),
        activation("softplus", "ln(1 + exp(beta * x)) / beta, x where beta * x is above threshold", FROM_INPUT),
        activation("hardtanh", "min(max(x, min), max)", FROM_OUTPUT),
        activation("hardsigmoid", "clamp(x / 6 + 1/2, 0, 1)", FROM_INPUT),
        activation("hardswish", "x * clamp(x / 6 + 1/2, 0, 1)", FROM_INPUT),
        Entry {
            name: "activation_backward",
            computes: "dx = f'(x) * dy",
            shapes: "x or y of the activation, and dy, of one shape; dx likewise",
            gradient: NO_GRADIENT,
            shaders: &["activation/backward", "activation/functions"],
            flops: "2 elements of dx",
        },
    ],
)
.cases(cases)
.slopes(slopes)
.conformance(CONFORMANCE);

const CONFORMANCE: &[(&str, Reader)] = &[
    ("relu", |given| given.apply(Activation::Relu, &["in.x"])),
    ("relu6", |given| given.apply(Activation::Relu6, &["in.x"])),
    ("leaky_relu", leaky_relu),
    ("elu", elu),
    ("selu", |given| given.apply(Activation::Selu, &["in.x"])),
    ("celu", celu),
    ("gelu_tanh", |given| given.apply(Activation::GeluTanh, &["in.x"])),
    ("mish", |given| given.apply(Activation::Mish, &["in.x"])),
    ("softplus", softplus),
    ("hardtanh", hardtanh),
    ("silu", |given| given.apply(Activation::Silu, &["in.x"])),
    ("sigmoid", |given| given.apply(Activation::Sigmoid, &["in.x"])),
    ("tanh", |given| given.apply(Activation::Tanh, &["in.x"])),
    ("gelu", |given| given.apply(Activation::Gelu, &["in.x"])),
    ("hardsigmoid", |given| given.apply(Activation::HardSigmoid, &["in.x"])),
    ("hardswish", |given| given.apply(Activation::HardSwish, &["in.x"])),
];

fn leaky_relu(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let negative_slope = given.attributes.number("negative_slope", Some(0.01))? as f32;
    given.apply(Activation::LeakyRelu { negative_slope }, &["in.x"])
}

fn elu(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let alpha = given.attributes.number("alpha", Some(1.0))? as f32;
    given.apply(Activation::Elu { alpha }, &["in.x"])
}

fn celu(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let alpha = given.attributes.number("alpha", Some(1.0))? as f32;
    given.apply(Activation::Celu { alpha }, &["in.x"])
}

fn softplus(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let beta = given.attributes.number("beta", Some(1.0))? as f32;
    let threshold = given.attributes.number("threshold", Some(20.0))? as f32;
    given.apply(Activation::Softplus { beta, threshold }, &["in.x"])
}

fn hardtanh(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let min = given.attributes.number("min_val", Some(-1.0))? as f32;
    let max = given.attributes.number("max_val", Some(1.0))? as f32;
    given.apply(Activation::Hardtanh { min, max }, &["in.x"])
}

/// Every activation, with parameters that are not the defaults.
const ALL: [Activation; 16] = [
    Activation::Relu,
    Activation::Relu6,
    Activation::LeakyRelu { negative_slope: 0.1 },
    Activation::Elu { alpha: 1.3 },
    Activation::Selu,
    Activation::Celu { alpha: 0.6 },
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Silu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Mish,
    Activation::Softplus { beta: 0.7, threshold: 12.0 },
    Activation::Hardtanh { min: -1.5, max: 2.25 },
    Activation::HardSigmoid,
    Activation::HardSwish,
];

fn cases() -> Vec<Case> {
    let shapes = |function: Activation| -> Vec<Vec<usize>> {
        // The last divides by four: kernels take so many elements at once there.
        let mut shapes = vec![vec![1], vec![3, 7, 11], vec![2, 5, 13, 17], vec![3, 4, 9]];
        shapes.extend((function == Activation::Relu).then(|| FOLDING.to_vec()));
        shapes
    };
    let of = |function: Activation| {
        unary(function.function(), &shapes(function), move |graph, x| graph.apply_one(function, &[x]))
            .into_iter()
            .map(|case| case.prepare(to_kinks_and_tails))
    };
    ALL.into_iter().flat_map(of).chain(ALL.map(not_finite)).chain([low_threshold()]).collect()
}

/// Softplus with a jump at its threshold: f32 and f64 agree on which side an x lies, as half of it is exact.
fn low_threshold() -> Case {
    let softplus = Activation::Softplus { beta: 0.5, threshold: 2.0 };
    let what = "x [3, 7, 11], threshold 2";
    let shapes = vec![vec![3, 7, 11]];
    Case::differentiated("softplus", what, shapes, move |graph, x| graph.apply_one(softplus, x))
        .prepare(to_kinks_and_tails)
}

/// Inputs wide enough for every branch of every activation, with the kinks themselves in front.
fn to_kinks_and_tails(tensors: &mut Tensors) {
    let Some(x) = tensors.get_mut("x0") else { return };
    let x = x.f32_mut();
    x.iter_mut().for_each(|x| *x *= 8.0);
    let special = [0.0, -0.0, 6.0, 3.0, -3.0, 80.0, -80.0, 1e-20, -1e-20, -1.5, 2.25, 4.0];
    if x.len() >= special.len() {
        x[..special.len()].copy_from_slice(&special);
    }
}

/// NaN of both signs, infinities, and upstream gradients that are neither finite, where x is cut off and where not.
fn not_finite(activation: Activation) -> Case {
    let what = "x [3, 7, 12] with NaN and infinities";
    let shapes = vec![vec![3, 7, 12]];
    Case::differentiated(activation.function(), what, shapes, move |graph, x| graph.apply_one(activation, x)).prepare(
        |tensors| {
            set(tensors, "x0", &[(0, NAN), (17, -NAN), (30, INFINITY), (45, -INFINITY), (100, NAN)]);
            set(tensors, "x0", &[(60, -5.0), (61, -5.0), (62, 0.5), (63, 0.5)]);
            set(tensors, "dout", &[(60, INFINITY), (61, NAN), (62, -INFINITY), (63, NAN)]);
        },
    )
}

fn slopes() -> Vec<Case> {
    let case = |function: Activation| {
        let shapes = vec![vec![3, 7]];
        Case::differentiated(function.function(), "[3, 7]", shapes, move |graph, x| graph.apply_one(function, x))
    };
    // From -7.4 to 7.6 in steps of 0.75: on both sides of the kinks at -3, -1.5, 0, 2.25, 3 and 6, and none within a
    // difference.
    let beside_kinks: fn(&mut Tensors) = |tensors| {
        if let Some(x) = tensors.get_mut("x0") {
            x.f32_mut().iter_mut().enumerate().for_each(|(index, x)| *x = index as f32 * 0.75 - 7.4);
        }
    };
    let is_smooth = |function: &Activation| {
        matches!(
            function,
            Activation::Sigmoid
                | Activation::Tanh
                | Activation::Silu
                | Activation::Gelu
                | Activation::GeluTanh
                | Activation::Mish
                | Activation::Softplus { .. }
        )
    };
    let (smooth, kinked): (Vec<_>, Vec<_>) = ALL.into_iter().partition(is_smooth);
    let kinked = kinked.into_iter().map(|function| case(function).prepare(beside_kinks));
    smooth.into_iter().map(case).chain(kinked).collect()
}

/// Those whose gradient leaves what comes in as it is, or stops it: no factor that f16 would round.
const MASKS: [Activation; 3] = [Activation::Relu, Activation::Relu6, Activation::Hardtanh { min: -1.5, max: 2.25 }];

/// The cases of an op that [takes an activation](crate::graph::Op::takes_activation): every activation in the stores of
/// its kernels, one that must not be merged, and NaN and infinities in its first input.
pub(crate) fn merged(
    op: &'static str,
    shapes: Vec<Vec<usize>>,
    build: impl Fn(&mut Graph, &[Value]) -> Result<Value, GraphError> + Send + Sync + Copy + 'static,
) -> Vec<Case> {
    let then = |what: String, activation: Activation| {
        Case::differentiated(op, what, shapes.clone(), move |graph, x| {
            let y = build(graph, x)?;
            graph.apply_one(activation, &[y])
        })
    };
    let x = &shapes[0];
    let mut cases = Vec::new();
    for activation in ALL {
        let name = activation.function();
        cases.push(alone(op, format!("x {x:?}, then {name}"), shapes.clone(), build, activation));
        let with_nan = then(format!("x {x:?} with NaN, then {name}"), activation);
        let with_nan = with_nan.prepare(|tensors| set(tensors, "x0", &[(5, NAN), (40, -NAN)]));
        // Its slope is a factor of the gradients before it, and f16 rounds that by up to 3.3e-4 of them here.
        cases.push(if activation == Activation::Mish { with_nan.only_exact() } else { with_nan });
    }
    for activation in MASKS {
        cases.push(then(format!("x {x:?}, then {}, differentiated", activation.function()), activation));
    }
    cases.push(Case::differentiated(op, format!("x {x:?}, then relu, and read by another"), shapes.clone(), {
        move |graph, x| {
            let between = build(graph, x)?;
            let y = graph.apply_one(Activation::Relu, &[between])?;
            graph.apply_one(Add, &[y, between])
        }
    }));
    let infinite = Case::differentiated(op, format!("x {x:?} with an infinity"), shapes.clone(), build);
    cases.push(infinite.prepare(|tensors| set(tensors, "x0", &[(3, INFINITY), (20, -INFINITY)])));
    cases.into_iter().map(|case| case.tolerance(2e-5, 2e-6)).collect()
}

/// The activation's output alone: nothing else reads what lies between.
fn alone(
    op: &'static str,
    what: String,
    shapes: Vec<Vec<usize>>,
    build: impl Fn(&mut Graph, &[Value]) -> Result<Value, GraphError> + Send + Sync + 'static,
    activation: Activation,
) -> Case {
    Case::new(op, what, move |graph| {
        let mut inputs = Vec::new();
        for (index, shape) in shapes.iter().enumerate() {
            inputs.push(graph.input(&format!("x{index}"), TensorSpec::f32(shape.clone()))?);
        }
        let between = build(graph, &inputs)?;
        let y = graph.apply_one(activation, &[between])?;
        graph.output("y", y);
        Ok(())
    })
}
