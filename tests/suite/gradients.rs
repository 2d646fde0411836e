//! Every op's gradient rule against finite differences, on the CPU reference, and that no op of the
//! catalog is left out.

use std::collections::BTreeSet;
use tilewright::check::{Tolerance, compare_values};
use tilewright::graph::{Graph, Role, Value};
use tilewright::nn::{self, LayerNorm, Mode, Scope};
use tilewright::ops::{
    Activation, AvgPool2d, Conv2d, Copy, CrossEntropy, IGNORED_TARGET, LocalResponseNorm, Loss, MatMul, MaxPool2d,
    catalog,
};
use tilewright::reference::{self, Tensors, random_tensors};
use tilewright::tensor::{ElementType, HostTensor, TensorSpec};

/// Half of the distance between the two points of a difference. Tensors are stored as f32, so an output
/// of size 1 carries 6e-8 / STEP of noise into the difference; its own error is STEP^2 f''' / 6. Both
/// are near 1e-5 here.
const STEP: f32 = 1e-2;

/// Room for the third derivatives of the steepest op (the losses), and for sums of some hundred outputs.
const TOLERANCE: Tolerance = Tolerance { relative: 1e-3, absolute: 1e-4 };

/// A graph with one output, and what is done to its random inputs beforehand.
struct Case {
    name: String,
    graph: Graph,
    prepare: fn(&mut Tensors),
}

impl Case {
    /// Of what `build` makes of inputs of the given shapes, in training mode.
    fn new(name: impl Into<String>, shapes: &[&[usize]], build: impl Fn(&mut Scope<'_>, &[Value]) -> Value) -> Case {
        Case::of_mode(Mode::Train, name, shapes, build)
    }

    fn of_mode(
        mode: Mode,
        name: impl Into<String>,
        shapes: &[&[usize]],
        build: impl Fn(&mut Scope<'_>, &[Value]) -> Value,
    ) -> Case {
        let mut graph = Graph::new();
        let inputs: Vec<Value> = (0..shapes.len())
            .map(|index| graph.input(&format!("in.{index}"), TensorSpec::f32(shapes[index].to_vec())).unwrap())
            .collect();
        let y = build(&mut Scope::new(&mut graph, mode), &inputs);
        graph.output("y", y);
        Case { name: name.into(), graph, prepare: |_| () }
    }

    /// A loss of 4 rows of 3 logits.
    fn loss(name: impl Into<String>, build: impl Fn(&mut Graph, [Value; 2]) -> Value) -> Case {
        let mut graph = Graph::new();
        let logits = graph.input("logits", TensorSpec::f32([4, 3])).unwrap();
        let target = graph.input("target", TensorSpec::u32([4])).unwrap();
        let loss = build(&mut graph, [logits, target]);
        graph.output("loss", loss);
        Case { name: name.into(), graph, prepare: |_| () }
    }

    fn prepare(mut self, prepare: fn(&mut Tensors)) -> Case {
        self.prepare = prepare;
        self
    }
}

/// The gradient of sum(y * dout), dout being random, with respect to every input and parameter of f32,
/// element by element.
fn check(case: Case) {
    let Case { name: case, mut graph, prepare } = case;
    let y = graph.outputs()[0].1;
    let wanted: Vec<Value> = graph
        .values()
        .filter(|&value| matches!(graph.tensor(value).role, Role::Input | Role::Parameter { .. }))
        .filter(|&value| graph.spec(value).element == ElementType::F32)
        .collect();
    let forward = graph.clone();
    let dout = graph.input("dout", graph.spec(y).clone()).unwrap();
    let gradients = graph.backward(&[(y, dout)], &wanted).unwrap();
    for (value, gradient) in &gradients {
        if wanted.contains(value) {
            graph.output(&format!("grad {}", graph.tensor(*value).name), *gradient);
        }
    }
    let mut tensors = random_tensors(&graph, 5, 3);
    prepare(&mut tensors);
    let outputs = run(&graph, &tensors);
    let dout = tensors["dout"].f32();
    let weighted = |tensors: &Tensors| -> f64 {
        run(&forward, tensors)[0].f32().iter().zip(dout).map(|(&y, &d)| f64::from(y) * f64::from(d)).sum()
    };
    for value in wanted {
        let name = &graph.tensor(value).name;
        let output = graph.outputs().iter().position(|(output, _)| *output == format!("grad {name}"));
        let output = output.unwrap_or_else(|| panic!("{case}: `{name}` has no gradient"));
        let got: Vec<f64> = outputs[output].f32().iter().map(|&gradient| f64::from(gradient)).collect();
        let difference = |index: usize| {
            let at = |step: f32| {
                let mut moved = tensors.clone();
                let element = &mut moved.get_mut(name).unwrap().f32_mut()[index];
                *element += step;
                (f64::from(*element), weighted(&moved))
            };
            let ((left, below), (right, above)) = (at(-STEP), at(STEP));
            (above - below) / (right - left)
        };
        let want: Vec<f64> = (0..got.len()).map(difference).collect();
        compare_values(name, &got, &want, TOLERANCE).unwrap_or_else(|wrong| panic!("{case}: {wrong}"));
    }
}

fn run(graph: &Graph, tensors: &Tensors) -> Vec<HostTensor> {
    reference::run(graph, tensors, &mut tensors.clone())
}

fn convolutions() -> Vec<Case> {
    let uneven = Conv2d { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 1 };
    let square = |filters| nn::Conv2d::square(filters, 3);
    vec![
        Case::new("convolution", &[&[2, 2, 5, 6], &[3, 2, 3, 2], &[3]], move |scope, x| {
            scope.apply(uneven, x).unwrap()
        }),
        Case::new("grouped convolution", &[&[1, 4, 4, 3]], move |scope, x| {
            scope.conv2d("conv", x[0], square(6).groups(2).padding(1).stride(2)).unwrap()
        }),
        Case::new("depthwise convolution", &[&[2, 3, 4, 4]], move |scope, x| {
            scope.conv2d("conv", x[0], square(6).groups(3).padding(1).without_bias()).unwrap()
        }),
        Case::new("linear layer", &[&[2, 3, 5]], |scope, x| scope.linear("fc", x[0], 4).unwrap()),
    ]
}

fn pools() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, pool) in [
        ("max pooling", MaxPool2d::square(2)),
        ("overlapping max pooling", MaxPool2d::square(3).stride(2).padding(1).ceil_mode()),
        ("dilated max pooling", MaxPool2d::square(2).stride(1).dilation(2)),
    ] {
        let case = Case::new(name, &[&[1, 2, 5, 6]], move |scope, x| scope.max_pool2d(x[0], pool).unwrap());
        // Values more than two steps apart, so that no maximum changes within a difference.
        cases.push(case.prepare(|tensors| {
            for (index, x) in tensors.get_mut("in.0").unwrap().f32_mut().iter_mut().enumerate() {
                *x = (index * 37 % 60) as f32 * 0.05;
            }
        }));
    }
    let average = AvgPool2d::square(3).stride(2).padding(1).ceil_mode();
    for pool in [AvgPool2d::square(2), average, average.without_padding_in_area()] {
        let build = move |scope: &mut Scope<'_>, x: &[Value]| scope.avg_pool2d(x[0], pool).unwrap();
        cases.push(Case::new("average pooling", &[&[1, 2, 5, 6]], build));
    }
    cases.push(Case::new("adaptive pooling", &[&[2, 1, 5, 7]], |scope, x| {
        scope.adaptive_avg_pool2d(x[0], [2, 3]).unwrap()
    }));
    cases.push(Case::new("global pooling", &[&[2, 3, 3, 2]], |scope, x| scope.global_avg_pool2d(x[0]).unwrap()));
    cases
}

fn sums_and_products() -> Vec<Case> {
    vec![
        Case::new("sum", &[&[2, 3, 4], &[3, 1]], |scope, x| scope.add(x[0], x[1]).unwrap()),
        Case::new("product", &[&[3, 1], &[2, 1, 4]], |scope, x| scope.mul(x[0], x[1]).unwrap()),
        Case::new("square", &[&[3, 2]], |scope, x| scope.mul(x[0], x[0]).unwrap()),
        Case::new("scale", &[&[5]], |scope, x| scope.scale(x[0], -1.5).unwrap()),
        Case::new("copy", &[&[5]], |scope, x| scope.apply(Copy, &[x[0]]).unwrap()),
        Case::new("mean", &[&[3, 4, 2]], |scope, x| scope.mean(x[0], &[0, 2], false).unwrap()),
        Case::new("mean of six dimensions", &[&[2, 3, 2, 1, 2, 2]], |scope, x| {
            scope.mean(x[0], &[0, 2, 5], true).unwrap()
        }),
        Case::new("repetition", &[&[3, 1, 2]], |scope, x| {
            let shape = [2, 3, 4, 2].into();
            scope.apply(tilewright::ops::BroadcastTo { shape, factor: 0.5 }, &[x[0]]).unwrap()
        }),
        Case::new("matrix product", &[&[2, 3, 4], &[2, 5, 4]], |scope, x| {
            scope.matmul(x[0], x[1], MatMul { transpose_a: false, transpose_b: true }).unwrap()
        }),
        Case::new("matrix product", &[&[2, 4, 3], &[2, 4, 5]], |scope, x| {
            scope.matmul(x[0], x[1], MatMul { transpose_a: true, transpose_b: false }).unwrap()
        }),
        Case::new("matrix product", &[&[2, 3, 4], &[2, 4, 5]], |scope, x| {
            scope.matmul(x[0], x[1], MatMul { transpose_a: false, transpose_b: false }).unwrap()
        }),
        Case::new("matrix product", &[&[2, 4, 3], &[2, 5, 4]], |scope, x| {
            scope.matmul(x[0], x[1], MatMul { transpose_a: true, transpose_b: true }).unwrap()
        }),
    ]
}

fn moves() -> Vec<Case> {
    vec![
        Case::new("concatenation", &[&[2, 1, 3], &[2, 4, 3]], |scope, x| scope.concat(x, 1).unwrap()),
        Case::new("slice", &[&[3, 5]], |scope, x| scope.slice(x[0], 1, 1..4).unwrap()),
        Case::new("channel shuffle", &[&[2, 6, 2, 1]], |scope, x| scope.channel_shuffle(x[0], 2).unwrap()),
        Case::new("zero padding", &[&[1, 2, 3, 2]], |scope, x| scope.zero_pad2d(x[0], [1, 0, 2, 1]).unwrap()),
        Case::new("permutation", &[&[2, 3, 4]], |scope, x| scope.permute(x[0], &[2, 0, 1]).unwrap()),
        Case::new("flattening", &[&[2, 3, 4]], |scope, x| scope.flatten(x[0]).unwrap()),
        Case::new("dropout", &[&[4, 7]], |scope, x| scope.dropout("drop", x[0], 0.4).unwrap()),
    ]
}

fn normalisations_and_softmax() -> Vec<Case> {
    let norm = LocalResponseNorm { alpha: 0.5, ..LocalResponseNorm::new(4) };
    let mut cases = vec![
        Case::new("softmax", &[&[2, 5, 3]], |scope, x| scope.softmax(x[0], 1).unwrap()),
        Case::new("log softmax", &[&[3, 4]], |scope, x| scope.log_softmax(x[0], 1).unwrap()),
        Case::new("local response norm", &[&[2, 6, 2]], move |scope, x| scope.local_response_norm(x[0], norm).unwrap()),
        Case::new("attention", &[&[1, 2, 3, 4][..]; 3], |scope, x| {
            scope.scaled_dot_product_attention(x[0], x[1], x[2]).unwrap()
        }),
    ];
    for layer in [LayerNorm::last(2), LayerNorm::last(1).without_affine()] {
        let build = move |scope: &mut Scope<'_>, x: &[Value]| scope.layer_norm("norm", x[0], layer).unwrap();
        cases.push(Case::new("layer norm", &[&[2, 3, 5]], build));
    }
    for mode in [Mode::Train, Mode::Eval] {
        for shape in [&[3, 2, 2, 3][..], &[7, 3]] {
            let name = format!("batch norm of {shape:?}, {mode:?}");
            let case = Case::of_mode(mode, name, &[shape], |scope, x| scope.batch_norm("bn", x[0]).unwrap());
            cases.push(case.prepare(|tensors| {
                let variance = tensors.get_mut("bn.running_var").unwrap();
                variance.f32_mut().iter_mut().for_each(|variance| *variance = variance.abs() + 0.5);
            }));
        }
    }
    cases
}

fn activations() -> Vec<Case> {
    let smooth = [Activation::Sigmoid, Activation::Tanh, Activation::Silu, Activation::Gelu];
    let kinked = [
        Activation::Relu,
        Activation::Relu6,
        Activation::LeakyRelu { negative_slope: 0.2 },
        Activation::Elu { alpha: 1.3 },
        Activation::HardSigmoid,
        Activation::HardSwish,
    ];
    let case = |function: Activation| {
        Case::new(function.function(), &[&[3, 7]], move |scope, x| scope.activation(x[0], function))
    };
    // From -7.4 to 7.6 in steps of 0.75: on both sides of the kinks at -3, 0, 3 and 6, and none within
    // a difference.
    let beside_kinks: fn(&mut Tensors) = |tensors| {
        for (index, x) in tensors.get_mut("in.0").unwrap().f32_mut().iter_mut().enumerate() {
            *x = index as f32 * 0.75 - 7.4;
        }
    };
    smooth.into_iter().map(case).chain(kinked.into_iter().map(|kinked| case(kinked).prepare(beside_kinks))).collect()
}

fn losses() -> Vec<Case> {
    let of = |loss: Loss| {
        Case::loss(format!("{loss:?}"), move |graph, [logits, target]| {
            Scope::new(graph, Mode::Train).loss(logits, target, loss).unwrap()
        })
    };
    let mut cases: Vec<Case> = [
        Loss::Focal { alpha: 1.0, gamma: 2.0 },
        Loss::Focal { alpha: 0.5, gamma: 0.5 },
        Loss::Focal { alpha: 1.0, gamma: 0.0 },
        Loss::Mse,
        Loss::MseSoftmax,
        Loss::Nll,
    ]
    .into_iter()
    .map(of)
    .collect();
    for label_smoothing in [0.0, 0.3] {
        let name = format!("cross entropy, label smoothing {label_smoothing}, one row ignored");
        let case =
            Case::loss(name, move |graph, inputs| graph.apply(CrossEntropy { label_smoothing }, &inputs).unwrap()[0]);
        cases.push(case.prepare(|tensors| tensors.get_mut("target").unwrap().u32_mut()[1] = IGNORED_TARGET));
    }
    cases
}

#[test]
fn gradients_of_convolutions_are_the_slopes() {
    convolutions().into_iter().for_each(check);
}

#[test]
fn gradients_of_pools_are_the_slopes() {
    pools().into_iter().for_each(check);
}

#[test]
fn gradients_of_sums_and_products_are_the_slopes() {
    sums_and_products().into_iter().for_each(check);
}

#[test]
fn gradients_of_moves_are_the_slopes() {
    moves().into_iter().for_each(check);
}

#[test]
fn gradients_of_normalisations_and_softmax_are_the_slopes() {
    normalisations_and_softmax().into_iter().for_each(check);
}

#[test]
fn gradients_of_activations_are_the_slopes() {
    activations().into_iter().for_each(check);
}

#[test]
fn gradients_of_losses_are_the_slopes() {
    losses().into_iter().for_each(check);
}

#[test]
fn every_op_of_the_catalog_that_has_a_gradient_is_in_some_case() {
    let groups =
        [convolutions(), pools(), sums_and_products(), moves(), normalisations_and_softmax(), activations(), losses()];
    let cases = groups.into_iter().flatten();
    let checked: BTreeSet<&str> =
        cases.flat_map(|case| case.graph.nodes().iter().map(|node| node.op.name()).collect::<Vec<_>>()).collect();
    let differentiable = catalog::entries().filter(|entry| entry.is_differentiable()).map(|entry| entry.name);
    let missing: Vec<&str> = differentiable.filter(|name| !checked.contains(name)).collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
}

#[test]
fn an_op_without_a_gradient_in_the_catalog_refuses_to_be_differentiated() {
    let without: BTreeSet<&str> =
        catalog::entries().filter(|entry| !entry.is_differentiable()).map(|entry| entry.name).collect();
    let mut tried = BTreeSet::new();
    for case in tilewright::check::cases() {
        let graph = case.graph().unwrap();
        for node in graph.nodes().iter().filter(|node| without.contains(node.op.name())) {
            let float = |value: &&Value| graph.spec(**value).element == ElementType::F32;
            let (Some(&x), Some(&y)) = (node.inputs.iter().find(float), node.outputs.iter().find(float)) else {
                continue;
            };
            let mut differentiated = graph.clone();
            let dy = differentiated.input("another dout", graph.spec(y).clone()).unwrap();
            let result = differentiated.backward(&[(y, dy)], &[x]);
            assert!(result.is_err(), "{} of {}, {}", node.op.name(), case.op, case.what);
            tried.insert(node.op.name());
        }
    }
    assert!(tried.contains("conv_input_gradient") && tried.contains("count_correct"), "only {tried:?} were tried");
}
