//! What `tilewright check` runs: every op on awkward shapes, as data.
//!
//! To add an op's cases, write a function of a few lines below and name it in [`cases`]: `unary` and
//! `binary` take the shapes and what is built on them, and every gradient is checked with it.

use super::case::{ACTIVATIONS, Case, add_gradients, binary, differentiated, several, unary};
use super::edges::edges;
use super::epilogues::epilogues;
use super::infinities::infinities;
use crate::graph::{Graph, GraphError, Init, Value};
use crate::nn::{LayerNorm, Mode, Scope};
use crate::ops::{
    Activation, AdaptiveAvgPool2d, Add, AvgPool2d, Concat, Conv2d, CountCorrect, CrossEntropy, IGNORED_TARGET, Linear,
    LocalResponseNorm, Loss, MatMul, MaxPool2d, Mul, MultiplyAdds, RecordMetrics, Scale, Softmax,
};
use crate::optim::{Averaging, GradientTransform, Groups, Optimizer, ParameterGroup, UpdateConfig};
use crate::reference::Tensors;
use crate::tensor::{HostTensor, TensorSpec};
use std::collections::HashMap;

/// More elements than 65,535 workgroups of 64 invocations have: the grid folds into a second dimension.
const FOLDING: [usize; 4] = [1, 1, 2049, 2049];

/// Every case, op by op.
pub fn cases() -> Vec<Case> {
    let parts = [
        convolutions(),
        linear_layers(),
        activations(),
        elementwise(),
        broadcasts(),
        layouts(),
        pools(),
        batch_norms(),
        layer_norms(),
        local_response_norms(),
        softmaxes(),
        products(),
        cross_entropies(),
        losses(),
        dropouts(),
        metrics(),
        optimizers(),
        micro_kernels(),
        epilogues(),
        edges(),
        infinities(),
    ];
    parts.into_iter().flatten().collect()
}

/// x, filters, kernel, attributes, and whether there is a bias.
type Convolution = ([usize; 4], usize, [usize; 2], Conv2d, bool);

fn convolutions() -> Vec<Case> {
    let plain = |stride, padding| Conv2d { stride: [stride; 2], padding: [padding; 2], ..Conv2d::default() };
    let grouped = |groups, stride, padding| Conv2d { groups, ..plain(stride, padding) };
    let mixed = Conv2d { stride: [2, 1], padding: [1, 3], dilation: [3, 2], groups: 1 };
    let all: Vec<Convolution> = vec![
        ([1, 1, 1, 1], 1, [1, 1], plain(1, 0), true),
        ([1, 3, 1, 1], 3, [3, 3], plain(1, 1), true),
        // LeNet's, ResNet's and AlexNet's first layers.
        ([2, 1, 28, 28], 6, [5, 5], plain(1, 2), true),
        ([1, 3, 33, 31], 8, [7, 7], plain(2, 3), false),
        ([1, 3, 55, 31], 9, [11, 11], plain(4, 2), true),
        ([1, 3, 55, 55], 7, [3, 3], plain(1, 1), true),
        // Primes, and one less and one more than a tile.
        ([3, 6, 14, 14], 16, [5, 5], plain(1, 0), true),
        ([2, 3, 17, 13], 7, [3, 3], plain(1, 1), true),
        ([2, 5, 11, 7], 17, [3, 3], plain(2, 1), true),
        ([5, 64, 4, 4], 33, [3, 3], plain(1, 1), true),
        ([2, 31, 7, 5], 63, [3, 3], plain(1, 1), true),
        ([2, 65, 5, 3], 31, [3, 3], plain(1, 1), false),
        // Pointwise.
        ([2, 16, 9, 9], 15, [1, 1], plain(1, 0), true),
        ([2, 17, 8, 8], 16, [1, 1], plain(2, 0), true),
        // Windows that leave a remainder, even kernels, more padding than the kernel reaches.
        ([2, 2, 19, 23], 5, [3, 7], plain(3, 2), true),
        ([1, 3, 8, 8], 4, [2, 2], plain(2, 0), true),
        ([2, 4, 12, 12], 8, [3, 3], plain(1, 3), false),
        // Dilation and unequal strides.
        ([2, 4, 20, 15], 6, [3, 3], mixed, true),
        ([2, 4, 20, 15], 6, [3, 3], Conv2d { groups: 2, ..mixed }, true),
        // Groups, down to depthwise.
        ([2, 32, 8, 8], 64, [3, 3], grouped(4, 2, 1), true),
        ([1, 64, 6, 6], 64, [3, 3], grouped(32, 1, 1), false),
        ([2, 24, 9, 7], 8, [3, 3], grouped(2, 1, 1), true),
        ([4, 64, 16, 16], 256, [3, 3], grouped(4, 1, 1), false),
        ([2, 6, 9, 9], 12, [3, 3], grouped(6, 1, 1), true),
        ([2, 13, 11, 7], 13, [5, 5], grouped(13, 2, 2), true),
        ([2, 3, 10, 17], 6, [3, 3], Conv2d { groups: 3, stride: [2, 3], padding: [2, 1], dilation: [1, 2] }, true),
        ([1, 2, 5, 40], 2, [3, 3], Conv2d { groups: 2, stride: [3, 19], padding: [1, 1], dilation: [1, 1] }, true),
        ([2, 5, 9, 8], 5, [3, 5], Conv2d { groups: 5, stride: [1, 2], padding: [0, 2], dilation: [2, 1] }, true),
        // Enough work for the larger tiles of each pass.
        ([4, 32, 16, 16], 64, [3, 3], plain(1, 1), true),
        ([2, 3, 128, 128], 128, [1, 1], plain(1, 0), false),
        ([2, 128, 128, 128], 3, [1, 1], plain(1, 0), false),
        ([1, 3, 128, 128], 64, [1, 1], plain(1, 0), false),
        ([1, 3, 128, 128], 32, [1, 1], plain(1, 0), false),
        (FOLDING, 1, [1, 1], plain(1, 0), true),
        // Reductions of more than 65,535 steps, where some drivers stop a loop.
        ([17, 4, 64, 64], 4, [3, 3], grouped(4, 1, 1), true),
    ];
    let case = |(x, filters, [kh, kw], conv, bias): Convolution| {
        let mut shapes = vec![x.to_vec(), vec![filters, x[1] / conv.groups, kh, kw]];
        shapes.extend(bias.then(|| vec![filters]));
        let what = format!("x {x:?} * {filters} filters of {kh}x{kw}, {conv:?}, bias {bias}");
        Case::new("conv2d", what, move |graph| {
            differentiated(graph, &shapes, |graph, values| graph.apply_one(conv, values))
        })
    };
    all.into_iter().map(case).collect()
}

fn linear_layers() -> Vec<Case> {
    let all: [(&[usize], usize); 9] = [
        (&[1, 1], 1),
        (&[64, 400], 120),
        (&[3, 5, 33], 17),
        (&[65, 129], 10),
        (&[63, 31], 63),
        (&[1, 2053], 3),
        (&[257, 3], 127),
        (&[3, 12_289], 5),
        (&[70_001, 3], 5),
    ];
    let case = |(x, outputs): (&[usize], usize)| {
        let shapes = [x.to_vec(), vec![outputs, x.last().copied().unwrap_or(1)], vec![outputs]];
        let what = format!("x {x:?} to {outputs}");
        Case::new("linear", what, move |graph| {
            differentiated(graph, &shapes, |graph, values| graph.apply_one(Linear, values))
        })
    };
    all.into_iter().map(case).collect()
}

fn activations() -> Vec<Case> {
    let shapes = |function: Activation| -> Vec<Vec<usize>> {
        let mut shapes = vec![vec![1], vec![3, 7, 11], vec![2, 5, 13, 17]];
        shapes.extend((function == Activation::Relu).then(|| FOLDING.to_vec()));
        shapes
    };
    let of = |function: Activation| {
        unary(function.function(), &shapes(function), move |graph, x| graph.apply_one(function, &[x]))
            .into_iter()
            .map(|case| case.prepare(to_kinks_and_tails))
    };
    ACTIVATIONS.into_iter().flat_map(of).collect()
}

/// Inputs wide enough for every branch of every activation, with the kinks themselves in front.
fn to_kinks_and_tails(tensors: &mut Tensors) {
    let Some(HostTensor::F32(x)) = tensors.get_mut("x0") else { return };
    x.iter_mut().for_each(|x| *x *= 8.0);
    let special = [0.0, -0.0, 6.0, 3.0, -3.0, 80.0, -80.0, 1e-20, -1e-20];
    if x.len() >= special.len() {
        x[..special.len()].copy_from_slice(&special);
    }
}

fn elementwise() -> Vec<Case> {
    let shapes = [vec![1], vec![3, 7, 11], FOLDING.to_vec()];
    binary("add", &shapes, |graph, a, b| graph.apply_one(Add, &[a, b]))
}

/// Two shapes that broadcast; a gradient is summed back to its input's shape.
fn broadcasts() -> Vec<Case> {
    let all: [(&[usize], &[usize]); 9] = [
        (&[2, 5, 4, 3], &[2, 5, 1, 1]),
        (&[2, 5, 4, 3], &[5, 1, 3]),
        (&[3, 1, 7], &[2, 1, 11, 1]),
        (&[3, 1, 2, 1, 2], &[1, 4, 1, 3, 1]),
        (&[2, 1, 3, 1, 2, 1], &[1, 2, 1, 3, 1, 2]),
        (&[65, 33], &[33]),
        (&[1], &[3, 129]),
        (&[2, 3, 55, 55], &[1, 3, 1, 1]),
        (&[70_001, 2], &[1, 2]),
    ];
    let mut cases = Vec::new();
    for (a, b) in all {
        let shapes = [a.to_vec(), b.to_vec()];
        let what = format!("a {a:?}, b {b:?}");
        cases.push(several("add", &what, &shapes, |graph, x| graph.apply_one(Add, x)));
        cases.push(several("mul", &what, &shapes, |graph, x| graph.apply_one(Mul, x)));
    }
    cases.extend(binary("mul", &[FOLDING.to_vec()], |graph, a, b| graph.apply_one(Mul, &[a, b])));
    cases.extend(unary("scale", &[vec![3, 7, 11]], |graph, x| graph.apply_one(Scale { factor: -1.7 }, &[x])));
    cases
}

fn eval(graph: &mut Graph) -> Scope<'_> {
    Scope::new(graph, Mode::Eval)
}

/// Ops that move elements.
fn layouts() -> Vec<Case> {
    let images = [vec![1, 12, 1, 1], vec![2, 12, 3, 5], vec![3, 24, 17, 13]];
    let mut cases = Vec::new();
    for (dim, sizes) in [(1, [3, 1, 4]), (0, [1, 2, 1]), (3, [17, 1, 16]), (2, [1, 55, 7])] {
        let shape = |size: &usize| -> Vec<usize> { (0..4).map(|d| if d == dim { *size } else { 5 - d }).collect() };
        let shapes: Vec<Vec<usize>> = sizes.iter().map(shape).collect();
        let what = format!("{shapes:?}, dim {dim}");
        cases.push(several("concat", &what, &shapes, move |graph, x| graph.apply_one(Concat { dim }, x)));
    }
    cases.extend(unary("slice", &images, |graph, x| eval(graph).slice(x, 1, 3..11)));
    cases.extend(unary("channel_shuffle", &images, |graph, x| eval(graph).channel_shuffle(x, 3)));
    cases.extend(unary("zero_pad2d", &images, |graph, x| eval(graph).zero_pad2d(x, [1, 2, 0, 3])));
    cases.extend(unary("permute", &images, |graph, x| eval(graph).permute(x, &[2, 0, 3, 1])));
    cases.extend(unary("mean", &images, |graph, x| eval(graph).mean(x, &[2, 3], false)));
    cases.extend(unary("mean", &[vec![2, 3, 4, 2, 3, 2]], |graph, x| eval(graph).mean(x, &[0, 2, 4], false)));
    cases.extend(unary("mean", &[vec![3, 70_001]], |graph, x| eval(graph).mean(x, &[1], true)));
    let folding = [FOLDING.to_vec()];
    cases.extend(unary("permute", &folding, |graph, x| eval(graph).permute(x, &[0, 1, 3, 2])));
    cases.extend(unary("zero_pad2d", &folding, |graph, x| eval(graph).zero_pad2d(x, [1, 1, 1, 1])));
    cases
}

fn pools() -> Vec<Case> {
    let max = |kernel| MaxPool2d::square(kernel);
    let mut cases = Vec::new();
    let maxima: [([usize; 4], MaxPool2d); 10] = [
        ([3, 2, 1, 1], max(1)),
        ([1, 1, 7, 5], max(2)),
        ([2, 3, 13, 11], max(3).stride(2).padding(1)),
        ([1, 5, 8, 10], max(3).stride(2).ceil_mode()),
        ([2, 2, 7, 9], max(3).stride(1).padding(1)),
        ([1, 3, 11, 10], max(2).stride(3)),
        ([1, 2, 9, 12], max(3).stride(2).padding(2).dilation(2)),
        ([1, 2, 9, 7], max(2).stride(1).dilation(3)),
        ([2, 64, 55, 55], max(3).stride(2)),
        (FOLDING, max(2).stride(1)),
    ];
    for (x, pool) in maxima {
        cases.push(several("max_pool2d", &format!("x {x:?}, {pool:?}"), &[x.to_vec()], move |graph, x| {
            graph.apply_one(pool, x)
        }));
    }
    // The gradient of a maximum that occurs more than once goes to the first.
    let ties = |tensors: &mut Tensors| {
        if let Some(HostTensor::F32(values)) = tensors.get_mut("x0") {
            values.iter_mut().for_each(|value| *value = value.round());
        }
    };
    let tied = several("max_pool2d", "x [2, 3, 9, 8] of equal maxima, 3x3", &[vec![2, 3, 9, 8]], move |graph, x| {
        graph.apply_one(max(3).stride(2).padding(1), x)
    });
    cases.push(tied.prepare(ties));
    let average = |kernel| AvgPool2d::square(kernel);
    let means: [([usize; 4], AvgPool2d); 7] = [
        ([3, 2, 1, 1], average(1)),
        ([2, 3, 8, 9], average(2)),
        ([2, 3, 9, 7], average(3).stride(2).padding(1)),
        ([1, 3, 9, 8], AvgPool2d { count_include_pad: false, ..average(3).stride(2).padding(1) }),
        ([1, 3, 10, 9], average(3).stride(2).padding(1).ceil_mode()),
        ([1, 2, 55, 55], average(11).stride(4)),
        (FOLDING, average(2).stride(1)),
    ];
    for (x, pool) in means {
        cases.push(several("avg_pool2d", &format!("x {x:?}, {pool:?}"), &[x.to_vec()], move |graph, x| {
            graph.apply_one(pool, x)
        }));
    }
    let adaptive: [([usize; 4], [usize; 2]); 7] = [
        ([2, 3, 13, 9], [1, 1]),
        ([2, 2, 13, 17], [6, 6]),
        ([1, 3, 2, 2], [7, 7]),
        ([1, 2, 1, 1], [1, 1]),
        ([2, 512, 7, 7], [1, 1]),
        ([1, 2, 55, 31], [7, 3]),
        ([1, 3, 300, 301], [1, 1]),
    ];
    for (x, output_size) in adaptive {
        let what = format!("x {x:?} to {output_size:?}");
        cases.push(several("adaptive_avg_pool2d", &what, &[x.to_vec()], move |graph, x| {
            graph.apply_one(AdaptiveAvgPool2d { output_size }, x)
        }));
    }
    cases
}

fn layer_norms() -> Vec<Case> {
    let all: [(&[usize], usize); 5] =
        [(&[3, 5, 12], 1), (&[1, 1, 3], 1), (&[2, 7, 129], 2), (&[2, 197, 64], 1), (&[3, 70_001], 1)];
    let case = |(shape, dims): (&[usize], usize)| {
        let what = format!("x {shape:?}, last {dims}");
        several("layer_norm", &what, &[shape.to_vec()], move |graph, x| {
            Scope::new(graph, Mode::Train).layer_norm("norm", x[0], LayerNorm::last(dims))
        })
        .tolerance(2e-5, 2e-6)
    };
    all.into_iter().map(case).collect()
}

fn local_response_norms() -> Vec<Case> {
    let mut cases = Vec::new();
    for size in [1, 2, 5] {
        let norm = LocalResponseNorm { size, alpha: 0.7, beta: 0.75, k: 1.0 };
        for shape in [vec![2, 9, 4, 4], vec![1, 1, 3, 3], vec![1, 96, 27, 13]] {
            let what = format!("x {shape:?}, size {size}");
            cases.push(several("local_response_norm", &what, &[shape], move |graph, x| graph.apply_one(norm, x)));
        }
    }
    cases
}

fn softmaxes() -> Vec<Case> {
    let all: [(&[usize], usize); 8] = [
        (&[1, 1], 1),
        (&[5, 10], 1),
        (&[10, 5], 0),
        (&[3, 7, 11, 2], 1),
        (&[2, 3, 65, 65], 3),
        (&[3, 1000], 1),
        (&[2, 32_003], 1),
        (&[2_100_001, 2], 1),
    ];
    let mut cases = Vec::new();
    for (shape, dim) in all {
        for (op, log) in [("softmax", false), ("log_softmax", true)] {
            let what = format!("x {shape:?}, dim {dim}");
            let case = several(op, &what, &[shape.to_vec()], move |graph, x| graph.apply_one(Softmax { dim, log }, x));
            cases.push(case.prepare(to_eighty));
        }
    }
    cases
}

/// Logits whose exponentials would overflow or vanish.
fn to_eighty(tensors: &mut Tensors) {
    for name in ["x0", "logits"] {
        if let Some(logits) = tensors.get_mut(name) {
            logits.f32_mut().iter_mut().for_each(|z| *z *= 80.0);
        }
    }
}

fn products() -> Vec<Case> {
    let mut cases = Vec::new();
    for [m, k, n] in [[1, 1, 1], [3, 5, 7], [17, 64, 17], [65, 33, 15]] {
        for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
            let a = if transpose_a { vec![2, 3, k, m] } else { vec![2, 3, m, k] };
            let b = if transpose_b { vec![2, 3, n, k] } else { vec![2, 3, k, n] };
            let what = format!("a {a:?}{}, b {b:?}{}", primed(transpose_a), primed(transpose_b));
            let product = MatMul { transpose_a, transpose_b };
            cases.push(several("matmul", &what, &[a, b], move |graph, x| graph.apply_one(product, x)));
        }
    }
    for shape in [vec![2, 3, 5, 8], vec![1, 1, 1, 1], vec![1, 12, 197, 64]] {
        let what = format!("q, k and v {shape:?}");
        cases.push(several("scaled_dot_product_attention", &what, &vec![shape; 3], |graph, x| {
            Scope::new(graph, Mode::Train).scaled_dot_product_attention(x[0], x[1], x[2])
        }));
    }
    cases
}

fn primed(transposed: bool) -> &'static str {
    if transposed { " transposed" } else { "" }
}

fn losses() -> Vec<Case> {
    let all = [
        ("focal", Loss::Focal { alpha: 0.25, gamma: 2.0 }),
        ("focal", Loss::Focal { alpha: 1.0, gamma: 0.5 }),
        ("mse", Loss::Mse),
        ("mse_softmax", Loss::MseSoftmax),
        ("nll", Loss::Nll),
    ];
    let mut cases = Vec::new();
    for (op, loss) in all {
        for (rows, classes) in [(1, 1), (7, 10), (65, 3), (33, 1000)] {
            let what = format!("logits [{rows}, {classes}], {loss:?}");
            let build = move |graph: &mut Graph| {
                let logits = graph.input("logits", TensorSpec::f32([rows, classes]))?;
                let target = graph.input("target", TensorSpec::u32([rows]))?;
                let outputs = graph.apply(loss, &[logits, target])?;
                add_gradients(graph, outputs[0], &[logits])
            };
            cases.push(Case::new(op, what, build).classes(classes).prepare(ignore_last));
        }
    }
    cases
}

/// The last row's target is no class.
fn ignore_last(tensors: &mut Tensors) {
    if let Some(last) = tensors.get_mut("target").and_then(|target| target.u32_mut().last_mut()) {
        *last = IGNORED_TARGET;
    }
}

fn batch_norms() -> Vec<Case> {
    let shapes: [&[usize]; 7] =
        [&[2, 1, 1, 1], &[5, 3, 7, 11], &[33, 17], &[4, 64, 9, 9], &[2, 130, 3, 1], &[3, 1, 55, 55], &FOLDING];
    let mut cases = Vec::new();
    for shape in shapes {
        for mode in [Mode::Train, Mode::Eval] {
            let shape = shape.to_vec();
            let what = format!("x {shape:?}, {mode:?}");
            let build = move |graph: &mut Graph| {
                differentiated(graph, std::slice::from_ref(&shape), |graph, x| {
                    Scope::new(graph, mode).batch_norm("bn", x[0])
                })
            };
            let positive: fn(&mut Tensors) = |tensors| {
                for name in ["bn.running_var", "bn.weight"] {
                    if let Some(tensor) = tensors.get_mut(name) {
                        tensor.f32_mut().iter_mut().for_each(|value| *value = value.abs() + 0.5);
                    }
                }
            };
            cases.push(Case::new("batch_norm", what, build).prepare(positive).tolerance(2e-5, 2e-6));
        }
    }
    // Mean of squares less square of mean would have no digit left.
    let far = |graph: &mut Graph| {
        differentiated(graph, &[vec![16, 5, 13, 13]], |graph, x| Scope::new(graph, Mode::Train).batch_norm("bn", x[0]))
    };
    let shift: fn(&mut Tensors) = |tensors| {
        if let Some(x) = tensors.get_mut("x0") {
            x.f32_mut().iter_mut().for_each(|x| *x = 3.0 * *x + 1000.0);
        }
    };
    cases.push(Case::new("batch_norm", "x [16, 5, 13, 13] around 1000", far).prepare(shift).tolerance(1e-3, 1e-5));
    cases
}

fn cross_entropies() -> Vec<Case> {
    let all = [(1, 1, 0.0), (7, 10, 0.0), (65, 3, 0.1), (33, 1000, 0.2), (4097, 2, 0.0)];
    let case = |(rows, classes, label_smoothing)| {
        let what = format!("logits [{rows}, {classes}], label smoothing {label_smoothing}");
        let build = move |graph: &mut Graph| {
            let logits = graph.input("logits", TensorSpec::f32([rows, classes]))?;
            let target = graph.input("target", TensorSpec::u32([rows]))?;
            let loss = graph.apply(CrossEntropy { label_smoothing }, &[logits, target])?;
            graph.output("rows", loss[1]);
            for k in [1, 5] {
                let correct = graph.apply_one(CountCorrect { k }, &[logits, target])?;
                graph.output(&format!("top {k}"), correct);
            }
            add_gradients(graph, loss[0], &[logits])
        };
        let wide_and_padded: fn(&mut Tensors) = |tensors| {
            if let Some(logits) = tensors.get_mut("logits") {
                logits.f32_mut().iter_mut().for_each(|z| *z *= 90.0);
            }
            ignore_last(tensors);
        };
        Case::new("cross_entropy", what, build).classes(classes).prepare(wide_and_padded)
    };
    all.into_iter().map(case).collect()
}

fn dropouts() -> Vec<Case> {
    let all = [(vec![1], 0.5), (vec![64, 100], 0.3), (vec![3, 7, 11, 13], 0.9)];
    let case = |(shape, p): (Vec<usize>, f32)| {
        let what = format!("x {shape:?}, p {p}");
        let build = move |graph: &mut Graph| {
            differentiated(graph, std::slice::from_ref(&shape), |graph, x| {
                Scope::new(graph, Mode::Train).dropout("drop", x[0], p)
            })
        };
        Case::new("dropout", what, build).prepare(seed_and_step).tolerance(1e-7, 0.0)
    };
    all.into_iter().map(case).collect()
}

/// Some seed and step of the random bits.
pub(super) fn seed_and_step(tensors: &mut Tensors) {
    for tensor in tensors.values_mut() {
        if let HostTensor::U32(numbers) = tensor {
            numbers.iter_mut().zip([0x9e37_79b9, 41, 1003, 0]).for_each(|(number, value)| *number = value);
        }
    }
}

fn metrics() -> Vec<Case> {
    let build = |graph: &mut Graph| {
        let mut inputs = Vec::new();
        for name in ["loss", "correct", "rows"] {
            inputs.push(graph.input(name, TensorSpec::f32([1]))?);
        }
        inputs.push(graph.input("numbers", TensorSpec::u32([4]))?);
        inputs.push(graph.buffer("history", [6, 3], Init::ZEROS)?);
        graph.apply(RecordMetrics { cursor: 3 }, &inputs).map(|_| ())
    };
    let exact = |case: Case| case.classes(6).tolerance(0.0, 0.0);
    vec![exact(Case::new("record_metrics", "history [6, 3]", build))]
}

/// What `bench` and `profile` take a device's peak from.
fn micro_kernels() -> Vec<Case> {
    let build = |graph: &mut Graph| {
        let y = graph.apply_one(MultiplyAdds { invocations: 1000, rounds: 2 }, &[])?;
        graph.output("y", y);
        Ok(())
    };
    vec![Case::new("multiply_adds", "1000 invocations of 2 rounds", build)]
}

fn optimizers() -> Vec<Case> {
    let transforms = [
        GradientTransform::default(),
        GradientTransform { l1: 0.02, clip_grad_value: Some(0.4), clip_grad_norm: Some(1.5) },
    ];
    let mut cases = Vec::new();
    for rule in Optimizer::cases() {
        for transform in transforms {
            let what = format!("{rule}, clipped {}", transform.clip_grad_norm.is_some());
            let rule = rule.clone();
            let build = move |graph: &mut Graph| {
                let averaging = Some(Averaging::Swa { start: 2, every: 1 });
                update(graph, UpdateConfig { optimizer: optimizer(&rule)?, transform, averaging })
            };
            cases.push(Case::new("optimizer", what, build).prepare(plausible_state).tolerance(2e-6, 1e-7));
        }
    }
    for rule in ["adamw:weight_decay=0.3", "sgd:momentum=0.9,weight_decay=0.01"] {
        let build = move |graph: &mut Graph| {
            let refused = |reason: String| GraphError::attribute("optimizer", rule, reason);
            let group = |text: &str| text.parse::<ParameterGroup>().map_err(|reason| refused(reason.to_string()));
            let groups = vec![group("b:lr=0.25,weight_decay=0")?, group("c:lr=3")?];
            update_in_groups(graph, UpdateConfig::new(optimizer(rule)?), &Groups { groups, ..Groups::default() })
        };
        let case = Case::new("optimizer", format!("{rule}, in groups"), build);
        cases.push(case.prepare(plausible_state).tolerance(2e-6, 1e-7));
    }
    cases
}

pub(super) fn optimizer(text: &str) -> Result<Optimizer, GraphError> {
    text.parse().map_err(|reason| GraphError::attribute("optimizer", text, format!("{reason}")))
}

/// Parameters of awkward sizes with given gradients, and their update: the outer ones are the first and the last layer.
pub(super) fn update(graph: &mut Graph, config: UpdateConfig) -> Result<(), GraphError> {
    update_in_groups(graph, config, &Groups::default())
}

fn update_in_groups(graph: &mut Graph, config: UpdateConfig, groups: &Groups) -> Result<(), GraphError> {
    let mut gradients: HashMap<Value, Value> = HashMap::new();
    let shapes: [(&str, &[usize]); 5] =
        [("a", &[13, 7, 3, 3]), ("b", &[1]), ("wide", &[9, 5, 3, 3]), ("tall", &[70, 11]), ("c", &[5, 31])];
    for (name, shape) in shapes {
        let parameter = graph.parameter(name, shape.to_vec(), Init::ONES)?;
        gradients.insert(parameter, graph.input(&format!("gradient of {name}"), TensorSpec::f32(shape.to_vec()))?);
    }
    let shares = groups.shares(graph, &config.optimizer);
    config.attach_with(graph, &gradients, &shares).map(|_| ())
}

/// Averages of squares are not negative, and above the square of the average.
pub(super) fn plausible_state(tensors: &mut Tensors) {
    for (name, tensor) in tensors {
        let HostTensor::F32(values) = tensor else { continue };
        if name.starts_with("optimizer.grad_avg") {
            values.iter_mut().for_each(|value| *value *= 0.5);
        } else if name.starts_with("optimizer.") && !name.contains("momentum") {
            values.iter_mut().for_each(|value| *value = value.abs() + 1.0);
        } else if name == crate::optim::SCALARS {
            values.copy_from_slice(&[0.05, 1.1, 1.3, 0.7, 0.0]);
        }
    }
}
