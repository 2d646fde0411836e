//! Every op's gradient rule against finite differences, on the CPU reference.

use tilewright::check::{Tolerance, compare_values, random_tensors};
use tilewright::graph::{Graph, LayerNorm, Mode, Scope, Value};
use tilewright::ops::{Activation, AvgPool2d, LocalResponseNorm, Loss, MatMul, MaxPool2d};
use tilewright::reference::{self, Tensors};
use tilewright::tensor::{ElementType, HostTensor, TensorSpec};

/// Half of the distance between the two points of a difference. Tensors are stored as f32, so an output
/// of size 1 carries 6e-8 / STEP of noise into the difference; its own error is STEP^2 f''' / 6. Both
/// are near 1e-5 here.
const STEP: f32 = 1e-2;

/// Room for the third derivatives of the steepest op (the losses), and for sums of some hundred outputs.
const TOLERANCE: Tolerance = Tolerance { relative: 1e-3, absolute: 1e-4 };

/// For `graph` with its one output y: checks the gradient of sum(y * dout), dout being random, with
/// respect to every input and parameter of f32, element by element.
fn check(case: &str, mut graph: Graph, prepare: impl Fn(&mut Tensors)) {
    let y = graph.outputs()[0].1;
    let wanted: Vec<Value> = graph
        .values()
        .filter(|&value| graph.find(&graph.tensor(value).name) == Some(value))
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

/// As [`check`], of what `build` makes of inputs of the given shapes.
fn check_layer(case: &str, shapes: &[&[usize]], build: impl Fn(&mut Scope<'_>, &[Value]) -> Value) {
    check(case, layer_graph(shapes, build), |_| ());
}

fn layer_graph(shapes: &[&[usize]], build: impl Fn(&mut Scope<'_>, &[Value]) -> Value) -> Graph {
    let mut graph = Graph::new();
    let inputs: Vec<Value> = (0..shapes.len())
        .map(|index| graph.input(&format!("in.{index}"), TensorSpec::f32(shapes[index].to_vec())).unwrap())
        .collect();
    let y = build(&mut Scope::new(&mut graph, Mode::Train), &inputs);
    graph.output("y", y);
    graph
}

#[test]
fn pooling() {
    for (case, pool) in [
        ("max pooling", MaxPool2d::square(2)),
        ("overlapping max pooling", MaxPool2d::square(3).stride(2).padding(1).ceil_mode()),
        ("dilated max pooling", MaxPool2d::square(2).stride(1).dilation(2)),
    ] {
        let graph = layer_graph(&[&[1, 2, 5, 6]], |scope, x| scope.max_pool2d(x[0], pool).unwrap());
        // Values more than two steps apart, so that no maximum changes within a difference.
        check(case, graph, |tensors| {
            for (index, x) in tensors.get_mut("in.0").unwrap().f32_mut().iter_mut().enumerate() {
                *x = (index * 37 % 60) as f32 * 0.05;
            }
        });
    }
    let average = AvgPool2d::square(3).stride(2).padding(1).ceil_mode();
    for pool in [AvgPool2d::square(2), average, average.without_padding_in_area()] {
        check_layer("average pooling", &[&[1, 2, 5, 6]], |scope, x| scope.avg_pool2d(x[0], pool).unwrap());
    }
    check_layer("adaptive pooling", &[&[2, 1, 5, 7]], |scope, x| scope.adaptive_avg_pool2d(x[0], [2, 3]).unwrap());
    check_layer("global pooling", &[&[2, 3, 3, 2]], |scope, x| scope.global_avg_pool2d(x[0]).unwrap());
}

#[test]
fn sums_and_products() {
    check_layer("sum", &[&[2, 3, 4], &[3, 1]], |scope, x| scope.add(x[0], x[1]).unwrap());
    check_layer("product", &[&[3, 1], &[2, 1, 4]], |scope, x| scope.mul(x[0], x[1]).unwrap());
    check_layer("square", &[&[3, 2]], |scope, x| scope.mul(x[0], x[0]).unwrap());
    check_layer("scale", &[&[5]], |scope, x| scope.scale(x[0], -1.5).unwrap());
    check_layer("mean", &[&[3, 4, 2]], |scope, x| scope.mean(x[0], &[0, 2], false).unwrap());
    check_layer("matrix product", &[&[2, 3, 4], &[2, 5, 4]], |scope, x| {
        scope.matmul(x[0], x[1], MatMul { transpose_a: false, transpose_b: true }).unwrap()
    });
    check_layer("matrix product", &[&[2, 4, 3], &[2, 4, 5]], |scope, x| {
        scope.matmul(x[0], x[1], MatMul { transpose_a: true, transpose_b: false }).unwrap()
    });
}

#[test]
fn moves() {
    check_layer("concatenation", &[&[2, 1, 3], &[2, 4, 3]], |scope, x| scope.concat(x, 1).unwrap());
    check_layer("slice", &[&[3, 5]], |scope, x| scope.slice(x[0], 1, 1..4).unwrap());
    check_layer("channel shuffle", &[&[2, 6, 2, 1]], |scope, x| scope.channel_shuffle(x[0], 2).unwrap());
    check_layer("zero padding", &[&[1, 2, 3, 2]], |scope, x| scope.zero_pad2d(x[0], [1, 0, 2, 1]).unwrap());
    check_layer("permutation", &[&[2, 3, 4]], |scope, x| scope.permute(x[0], &[2, 0, 1]).unwrap());
    check_layer("flattening", &[&[2, 3, 4]], |scope, x| scope.flatten(x[0]).unwrap());
}

#[test]
fn normalisations_and_softmax() {
    check_layer("softmax", &[&[2, 5, 3]], |scope, x| scope.softmax(x[0], 1).unwrap());
    check_layer("log softmax", &[&[3, 4]], |scope, x| scope.log_softmax(x[0], 1).unwrap());
    let norm = LocalResponseNorm { alpha: 0.5, ..LocalResponseNorm::new(4) };
    check_layer("local response norm", &[&[2, 6, 2]], |scope, x| scope.local_response_norm(x[0], norm).unwrap());
    for layer in [LayerNorm::last(2), LayerNorm::last(1).without_affine()] {
        check_layer("layer norm", &[&[2, 3, 5]], |scope, x| scope.layer_norm("norm", x[0], layer).unwrap());
    }
    check_layer("attention", &[&[1, 2, 3, 4][..]; 3], |scope, x| {
        scope.scaled_dot_product_attention(x[0], x[1], x[2]).unwrap()
    });
}

#[test]
fn smooth_activations() {
    for function in [Activation::Sigmoid, Activation::Tanh, Activation::Silu, Activation::Gelu] {
        check_layer(function.function(), &[&[3, 7]], |scope, x| scope.activation(x[0], function));
    }
}

#[test]
fn losses() {
    for loss in [
        Loss::Focal { alpha: 1.0, gamma: 2.0 },
        Loss::Focal { alpha: 0.5, gamma: 0.5 },
        Loss::Focal { alpha: 1.0, gamma: 0.0 },
        Loss::Mse,
        Loss::MseSoftmax,
        Loss::Nll,
    ] {
        let mut graph = Graph::new();
        let logits = graph.input("logits", TensorSpec::f32([4, 3])).unwrap();
        let target = graph.input("target", TensorSpec::u32([4])).unwrap();
        let value = Scope::new(&mut graph, Mode::Train).loss(logits, target, loss).unwrap();
        graph.output("loss", value);
        check(&format!("{loss:?}"), graph, |_| ());
    }
}
