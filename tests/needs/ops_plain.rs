//! Every op's plain kernel, forward and backward, against the CPU reference.
//!
//! Each op stands in the middle of a graph: the gradient that arrives at it is an input like any
//! other, so a rule that takes it for one is seen. Shapes are odd on purpose.

use crate::need::trials;
use std::sync::OnceLock;
use tilewright::check::{Tolerance, check_graph};
use tilewright::gpu::{DeviceOptions, DeviceSelector, Gpu};
use tilewright::graph::{Graph, GraphError, Op, Value};
use tilewright::nn::{LayerNorm, Mode, Scope};
use tilewright::ops::{
    AdaptiveAvgPool2d, Add, AvgPool2d, Concat, IGNORED_TARGET, LocalResponseNorm, Loss, MatMul, MaxPool2d, Mul,
    Permute, Scale, Softmax, ZeroPad,
};
use tilewright::reference::{Tensors, random_tensors};
use tilewright::session::run_once;
use tilewright::tensor::{HostTensor, TensorSpec};

trials! {
    Nothing: a_shape_that_an_op_does_not_take_is_refused_with_its_rule;
    Adapter:
        max_pooling_agrees_with_the_reference,
        average_pooling_agrees_with_the_reference,
        adaptive_average_pooling_agrees_with_the_reference,
        broadcast_sums_and_products_agree_with_the_reference,
        a_value_multiplied_by_itself_gets_both_gradients,
        ops_that_move_elements_agree_with_the_reference,
        means_agree_with_the_reference,
        softmax_agrees_with_the_reference_for_logits_of_80,
        local_response_norm_agrees_with_the_reference,
        layer_norm_agrees_with_the_reference_also_far_from_zero,
        matrix_products_agree_with_the_reference,
        attention_agrees_with_the_reference,
        losses_agree_with_the_reference,
        losses_of_logits_of_90_are_finite,
        rows_that_pad_a_batch_count_in_no_loss_and_no_gradient;
}

/// The device with and without bounds checks in its shaders.
fn devices() -> &'static [Gpu; 2] {
    static DEVICES: OnceLock<[Gpu; 2]> = OnceLock::new();
    DEVICES.get_or_init(|| {
        [true, false]
            .map(|checked| Gpu::open(&DeviceSelector::Auto, DeviceOptions::default().checked(checked)).unwrap())
    })
}

/// Runs the graph that `build` makes of inputs of the given shapes, with values in [-1, 1), and the
/// gradient of each input and parameter, on both devices and the reference.
fn check_built(shapes: &[&[usize]], build: impl Fn(&mut Graph, &[Value]) -> Value, case: &str) {
    check_with(shapes, build, case, |_| ());
}

/// As [`check_built`], with inputs that `prepare` changes first.
fn check_with(
    shapes: &[&[usize]],
    build: impl Fn(&mut Graph, &[Value]) -> Value,
    case: &str,
    prepare: impl Fn(&mut Tensors),
) {
    let mut graph = Graph::new();
    let mut inputs = Vec::new();
    for (index, shape) in shapes.iter().enumerate() {
        inputs.push(graph.input(&format!("in.{index}"), TensorSpec::f32(shape.to_vec())).unwrap());
    }
    let y = build(&mut graph, &inputs);
    inputs.extend(graph.parameters().collect::<Vec<_>>());
    let dout = graph.input("dout", graph.spec(y).clone()).unwrap();
    let gradients = graph.backward(&[(y, dout)], &inputs).unwrap();
    graph.output("out", y);
    for input in &inputs {
        graph.output(&format!("grad.{}", graph.tensor(*input).name), gradients[input]);
    }
    let mut tensors = random_tensors(&graph, 7, 2);
    prepare(&mut tensors);
    for gpu in devices() {
        check_graph(gpu, &graph, &tensors, Tolerance::default()).unwrap_or_else(|error| panic!("{case}: {error}"));
    }
}

fn check(op: impl Op + Clone + 'static, shapes: &[&[usize]]) {
    let case = format!("{op:?} of {shapes:?}");
    check_built(shapes, |graph, inputs| graph.apply_one(op.clone(), inputs).unwrap(), &case);
}

fn max_pooling_agrees_with_the_reference() {
    check(MaxPool2d::square(2), &[&[2, 3, 8, 6]]);
    check(MaxPool2d::square(2), &[&[1, 1, 7, 5]]);
    check(MaxPool2d::square(1), &[&[3, 2, 1, 1]]);
    check(MaxPool2d::square(3).stride(2).padding(1), &[&[2, 3, 13, 11]]);
    check(MaxPool2d::square(3).stride(2).ceil_mode(), &[&[1, 5, 8, 10]]);
    check(MaxPool2d::square(3).stride(1).padding(1), &[&[2, 2, 7, 9]]);
    check(MaxPool2d::square(2).stride(3), &[&[1, 3, 11, 10]]);
    check(MaxPool2d::square(5).stride(7).padding(2).ceil_mode(), &[&[1, 2, 17, 23]]);
    check(MaxPool2d::square(7).stride(5), &[&[1, 2, 23, 19]]);
    check(MaxPool2d::square(3).stride(2).padding(2).dilation(2), &[&[1, 2, 9, 12]]);
    check(MaxPool2d::square(2).stride(1).dilation(3), &[&[1, 2, 9, 7]]);
    let uneven = MaxPool2d { stride: [1, 3], padding: [1, 0], dilation: [1, 2], ..MaxPool2d::new([3, 2]) };
    check(uneven.ceil_mode(), &[&[2, 1, 7, 13]]);
}

fn average_pooling_agrees_with_the_reference() {
    for pool in [
        AvgPool2d::square(2),
        AvgPool2d::square(3).stride(1).padding(1),
        AvgPool2d::square(3).stride(2).padding(1).ceil_mode(),
        AvgPool2d::square(7),
        AvgPool2d::square(5).stride(6).ceil_mode(),
        AvgPool2d::square(4).stride(3).padding(2).ceil_mode(),
        AvgPool2d { stride: [2, 1], padding: [0, 1], ..AvgPool2d::new([1, 3]) },
    ] {
        for pool in [pool, pool.without_padding_in_area()] {
            check(pool, &[&[2, 3, 7, 7]]);
            check(pool, &[&[1, 2, 13, 11]]);
        }
    }
}

fn adaptive_average_pooling_agrees_with_the_reference() {
    for output_size in [[1, 1], [2, 3], [7, 7], [6, 1]] {
        check(AdaptiveAvgPool2d { output_size }, &[&[2, 3, 7, 5]]);
        check(AdaptiveAvgPool2d { output_size }, &[&[1, 3, 1, 13]]);
        check(AdaptiveAvgPool2d { output_size }, &[&[3, 1, 56, 56]]);
    }
}

fn broadcast_sums_and_products_agree_with_the_reference() {
    let pairs: [[&[usize]; 2]; 9] = [
        [&[2, 3, 5], &[2, 3, 5]],
        [&[2, 3, 5, 7], &[2, 3, 1, 1]],
        [&[2, 3, 5, 7], &[3, 1, 1]],
        [&[7], &[5, 3, 7]],
        [&[3, 1], &[1, 5]],
        [&[1], &[13, 11]],
        [&[], &[4]],
        [&[1, 3, 1, 5], &[2, 1, 7, 1]],
        [&[67, 1, 31], &[31]],
    ];
    for shapes in pairs {
        check(Add, &shapes);
        check(Mul, &shapes);
    }
    check(Scale { factor: -2.5 }, &[&[3, 7]]);
}

fn a_value_multiplied_by_itself_gets_both_gradients() {
    let square = |graph: &mut Graph, x: &[Value]| graph.apply_one(Mul, &[x[0], x[0]]).unwrap();
    check_built(&[&[3, 5]], square, "x * x");
}

/// As [`check_built`], with a graph of one input built in a scope.
fn check_scope(shape: &[usize], case: &str, build: impl Fn(&mut Scope<'_>, Value) -> Value) {
    let build = |graph: &mut Graph, x: &[Value]| build(&mut Scope::new(graph, Mode::Train), x[0]);
    check_built(&[shape], build, case);
}

fn ops_that_move_elements_agree_with_the_reference() {
    check(Concat { dim: 1 }, &[&[2, 3, 5], &[2, 1, 5], &[2, 7, 5]]);
    check(Concat { dim: 0 }, &[&[1, 3], &[4, 3]]);
    check(Concat { dim: 3 }, &[&[2, 3, 5, 1], &[2, 3, 5, 6]]);
    check(Concat { dim: 0 }, &[&[5]]);
    check(Permute { order: vec![2, 0, 1] }, &[&[3, 5, 7]]);
    check(Permute { order: vec![0, 2, 1, 3] }, &[&[2, 3, 5, 4]]);
    check(ZeroPad { before: vec![1, 0, 2], after: vec![0, 3, 1] }, &[&[3, 5, 7]]);
    check_scope(&[3, 7, 5], "slice", |scope, x| scope.slice(x, 1, 2..5).unwrap());
    check_scope(&[3, 7], "slice of one", |scope, x| scope.slice(x, 0, 2..3).unwrap());
    check_scope(&[2, 12, 3, 5], "channel shuffle", |scope, x| scope.channel_shuffle(x, 3).unwrap());
    check_scope(&[2, 3, 5, 7], "zero padding", |scope, x| scope.zero_pad2d(x, [1, 2, 0, 3]).unwrap());
    check_scope(&[2, 7, 3], "split", |scope, x| {
        let pieces = scope.split(x, 1, &[2, 4, 1]).unwrap();
        scope.concat(&[pieces[2], pieces[0], pieces[1]], 1).unwrap()
    });
}

fn means_agree_with_the_reference() {
    for dims in [&[0][..], &[2], &[1, 3], &[2, 3], &[0, 1, 2, 3], &[0, 2]] {
        for keepdim in [false, true] {
            let case = format!("mean over {dims:?}");
            check_scope(&[3, 5, 7, 2], &case, |scope, x| scope.mean(x, dims, keepdim).unwrap());
        }
    }
    check_scope(&[3, 10_007], "mean of many", |scope, x| scope.mean(x, &[1], false).unwrap());
}

fn a_shape_that_an_op_does_not_take_is_refused_with_its_rule() {
    let mut graph = Graph::new();
    let a = graph.input("a", TensorSpec::f32([2, 3])).unwrap();
    let b = graph.input("b", TensorSpec::f32([2, 4])).unwrap();
    let mut scope = Scope::new(&mut graph, Mode::Train);
    let rule = |result: Result<Value, _>| result.map_err(|error: GraphError| error.to_string()).unwrap_err();
    assert!(rule(scope.mul(a, b)).contains("sizes 3 and 4 of a dimension are neither equal nor 1"));
    assert!(rule(scope.concat(&[a, b], 0)).contains("dimension 1 differs"));
    assert!(rule(scope.concat(&[], 0)).contains("at least one input"));
    assert!(rule(scope.slice(a, 1, 2..5)).contains("3 elements from 2 on are no part of a dimension of 3"));
    assert!(rule(scope.slice(a, 2, 0..1)).contains("has no such dimension"));
    assert!(rule(scope.mean(a, &[2], false)).contains("has no such dimension"));
    assert!(rule(scope.channel_shuffle(a, 2)).contains("it divides the 3 channels"));
    assert!(rule(scope.permute(a, &[0, 0])).contains("does not name each dimension once"));
    assert!(scope.split(a, 1, &[1, 1]).unwrap_err().to_string().contains("add up to the 3 elements"));
}

/// Makes every input `factor` times as large, and `offset` larger.
fn stretched(factor: f32, offset: f32) -> impl Fn(&mut Tensors) {
    move |tensors| {
        for (_, tensor) in tensors.iter_mut().filter(|(name, _)| name.starts_with("in.")) {
            tensor.f32_mut().iter_mut().for_each(|x| *x = *x * factor + offset);
        }
    }
}

fn softmax_agrees_with_the_reference_for_logits_of_80() {
    for (shape, dim) in [(&[3, 7][..], 1), (&[3, 7], 0), (&[2, 5, 3], 1), (&[1, 1], 1), (&[2, 3, 4, 5], 3), (&[4], 0)] {
        for log in [false, true] {
            for factor in [1.0, 80.0] {
                let softmax = Softmax { dim, log };
                let build = |graph: &mut Graph, x: &[Value]| graph.apply_one(softmax, x).unwrap();
                check_with(&[shape], build, &format!("{softmax:?} of {shape:?} x {factor}"), stretched(factor, 0.0));
            }
        }
    }
}

fn local_response_norm_agrees_with_the_reference() {
    for size in [1, 2, 5, 9] {
        let norm = LocalResponseNorm { alpha: 0.5, k: 2.0, ..LocalResponseNorm::new(size) };
        check(norm, &[&[2, 7, 3, 5]]);
        check(norm, &[&[3, 2, 4]]);
        check(LocalResponseNorm { beta: 0.5, ..norm }, &[&[1, 1, 3, 3]]);
    }
}

fn layer_norm_agrees_with_the_reference_also_far_from_zero() {
    for (shape, dims) in [(&[3, 5, 7][..], 1), (&[3, 5, 7], 2), (&[2, 67], 1), (&[2, 3, 4, 5], 3), (&[11], 1)] {
        for layer in [LayerNorm::last(dims), LayerNorm::last(dims).eps(1e-3).without_affine()] {
            for offset in [0.0, 100.0] {
                let build = |graph: &mut Graph, x: &[Value]| {
                    Scope::new(graph, Mode::Train).layer_norm("norm", x[0], layer).unwrap()
                };
                let case = format!("{layer:?} of {shape:?} + {offset}");
                check_with(&[shape], build, &case, stretched(1.0, offset));
            }
        }
    }
}

fn matrix_products_agree_with_the_reference() {
    for (batch, m, n, k) in [(&[2, 3][..], 5, 7, 11), (&[], 1, 1, 1), (&[3], 4, 8, 16), (&[1, 1], 13, 2, 3)] {
        for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
            let shape = |rows, columns, transposed| {
                let matrix = if transposed { [columns, rows] } else { [rows, columns] };
                [batch, &matrix].concat()
            };
            let (a, b) = (shape(m, k, transpose_a), shape(k, n, transpose_b));
            check(MatMul { transpose_a, transpose_b }, &[&a, &b]);
        }
    }
}

fn attention_agrees_with_the_reference() {
    let attention = |graph: &mut Graph, x: &[Value]| {
        Scope::new(graph, Mode::Eval).scaled_dot_product_attention(x[0], x[1], x[2]).unwrap()
    };
    check_built(&[&[2, 3, 5, 7][..]; 3], attention, "attention");
    check_built(&[&[1, 1, 3, 4], &[1, 1, 9, 4], &[1, 1, 9, 2]], attention, "attention over more keys than queries");
    check_with(&[&[1, 2, 6, 8][..]; 3], attention, "attention of larger scores", stretched(3.0, 0.0));
}

const LOSSES: [Loss; 7] = [
    Loss::Focal { alpha: 1.0, gamma: 2.0 },
    Loss::Focal { alpha: 0.25, gamma: 0.0 },
    Loss::Focal { alpha: 1.0, gamma: 1.0 },
    Loss::Focal { alpha: 1.0, gamma: 0.5 },
    Loss::Mse,
    Loss::MseSoftmax,
    Loss::NLL,
];

/// A graph of a loss and its gradient for an upstream gradient that is given.
fn loss_graph(loss: Loss, rows: usize, classes: usize) -> Graph {
    let mut graph = Graph::new();
    let logits = graph.input("logits", TensorSpec::f32([rows, classes])).unwrap();
    let target = graph.input("target", TensorSpec::u32([rows])).unwrap();
    let upstream = graph.input("upstream", TensorSpec::f32([1])).unwrap();
    let value = Scope::new(&mut graph, Mode::Train).loss(logits, target, loss).unwrap();
    let gradients = graph.backward(&[(value, upstream)], &[logits]).unwrap();
    graph.output("loss", value);
    graph.output("dlogits", gradients[&logits]);
    graph
}

fn losses_agree_with_the_reference() {
    for loss in LOSSES {
        for (rows, classes) in [(1, 1), (1, 2), (7, 3), (130, 10)] {
            let graph = loss_graph(loss, rows, classes);
            for factor in [1.0, 5.0] {
                let mut tensors = random_tensors(&graph, 3, classes as u32);
                tensors.get_mut("logits").unwrap().f32_mut().iter_mut().for_each(|z| *z *= factor);
                for gpu in devices() {
                    check_graph(gpu, &graph, &tensors, Tolerance::default())
                        .unwrap_or_else(|error| panic!("{loss:?}, {rows} x {classes}: {error}"));
                }
            }
        }
    }
}

fn losses_of_logits_of_90_are_finite() {
    for loss in LOSSES {
        let graph = loss_graph(loss, 4, 3);
        let mut tensors = random_tensors(&graph, 3, 3);
        let logits = [90.0, -90.0, 0.0, -90.0, 90.0, 90.0, 1.0, -90.0, -90.0, 90.0, 90.0, 90.0];
        tensors.get_mut("logits").unwrap().f32_mut().copy_from_slice(&logits);
        tensors.get_mut("target").unwrap().u32_mut().copy_from_slice(&[0, 0, 1, 2]);
        for gpu in devices() {
            check_graph(gpu, &graph, &tensors, Tolerance::default())
                .unwrap_or_else(|error| panic!("{loss:?}: {error}"));
        }
    }
}

fn rows_that_pad_a_batch_count_in_no_loss_and_no_gradient() {
    for loss in LOSSES {
        let [padded, short] = [7, 5].map(|rows| loss_graph(loss, rows, 3));
        let mut tensors = random_tensors(&short, 3, 3);
        let [whole, _] = devices();
        let (want, _) = run_once(&whole.clone().into(), &short, &tensors).unwrap();
        let HostTensor::F32(logits) = tensors.get_mut("logits").unwrap() else { panic!("logits are f32") };
        logits.extend([3.0; 6]);
        let HostTensor::U32(target) = tensors.get_mut("target").unwrap() else { panic!("targets are u32") };
        target.extend([IGNORED_TARGET; 2]);
        for gpu in devices() {
            check_graph(gpu, &padded, &tensors, Tolerance::default())
                .unwrap_or_else(|error| panic!("{loss:?}: {error}"));
        }
        let (got, _) = run_once(&whole.clone().into(), &padded, &tensors).unwrap();
        assert_eq!(got[0], want[0], "{loss:?}");
        assert_eq!(got[1].f32()[..15], *want[1].f32(), "{loss:?}");
        assert_eq!(got[1].f32()[15..], [0.0; 6], "{loss:?}");
        // Nothing but padding: a loss of 0, not of 0 / 0.
        tensors.get_mut("target").unwrap().u32_mut().fill(IGNORED_TARGET);
        let (got, _) = run_once(&whole.clone().into(), &padded, &tensors).unwrap();
        assert_eq!(got[0].f32(), [0.0], "{loss:?}");
    }
}
