//! The card of batch normalisation.

use super::BatchNorm;
use crate::graph::{Graph, GraphError, Init, Value};
use crate::ops::activation::{Activation, merged};
use crate::ops::card::{
    Card, Case, Chapter, Entry, FOLDING, Fixture, FixtureError, INFINITY, NAN, NO_GRADIENT, Prepared, positive, set,
};
use crate::tensor::Tensors;

pub(crate) static CARD: Card = Card::new(Chapter::Normalisation, &[
    Entry {
        name: "batch_statistics",
        computes: "mean and biased variance of each channel, by shifted sums that are merged as Chan, Golub and LeVeque do",
        shapes: "x [N, C, ...]; mean [C], variance [C]",
        gradient: "goes through batch_norm",
        shaders: &["batch_norm/partial_statistics", "batch_norm/merge_statistics", "batch_norm/merge_statistics_together"],
        flops: "4 elements of x",
    },
    Entry {
        name: "batch_norm",
        computes: "(x - mean) / sqrt(var + eps) * weight + bias, with batch or running statistics",
        shapes: "x [N, C, ...], each vector [C], weight and bias both or neither; y as x",
        gradient: "batch_norm_sums and batch_norm_input_gradient or batch_norm_running_gradient",
        shaders: &["batch_norm/normalize"],
        flops: "2 elements of x",
    },
    Entry {
        name: "batch_norm_sums",
        computes: "dweight[c] = sum of dy * normalised x, dbias[c] = sum of dy, and a table of what the input's gradient has to know of a channel; a plan lets both go through the activation that follows the batch norm, whose input is then computed anew",
        shapes: "x, dy, mean, var, then weight and bias if affine; two of [C], and coefficients [C, 6]",
        gradient: NO_GRADIENT,
        shaders: &["batch_norm/partial_sums", "batch_norm/merge_sums", "batch_norm/merge_sums_together", "batch_norm/coefficients", "batch_norm/upstream"],
        flops: "4 elements of x",
    },
    Entry {
        name: "batch_norm_input_gradient",
        computes: "with batch statistics: weight / sqrt(var + eps) times dy less its mean and the normalised x times its mean product with dy",
        shapes: "dy, x and the coefficients of batch_norm_sums; dx as dy",
        gradient: NO_GRADIENT,
        shaders: &["batch_norm/input_gradient", "batch_norm/upstream"],
        flops: "6 elements of x",
    },
    Entry {
        name: "batch_norm_running_gradient",
        computes: "with running statistics: weight / sqrt(var + eps) * dy",
        shapes: "dy and var, then weight if affine; dx as dy",
        gradient: NO_GRADIENT,
        shaders: &["batch_norm/input_gradient_running"],
        flops: "elements of x",
    },
    Entry {
        name: "update_running_statistics",
        computes: "running = (1 - momentum) * running + momentum * batch, the variance unbiased; in place",
        shapes: "mean, var, running_mean, running_var, each [C]",
        gradient: NO_GRADIENT,
        shaders: &["batch_norm/update_running"],
        flops: "0",
    },
])
.cases(cases)
.slopes(slopes)
.conformance(&[("batch_norm2d", batch_norm), ("batch_norm1d", batch_norm)]);

fn batch_norm(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let norm = BatchNorm {
        eps: given.attributes.number("eps", Some(1e-5))? as f32,
        momentum: given.attributes.number("momentum", Some(0.1))? as f32,
        batch_statistics: given.train,
    };
    let pair = |a: &str, b: &str| Some([given.optional(a)?, given.optional(b)?]);
    let affine = pair("param.weight", "param.bias");
    let running = match given.train {
        true => pair("buf.running_mean", "buf.running_var"),
        false => Some([given.operand("buf.running_mean")?, given.operand("buf.running_var")?]),
    };
    Ok(norm.apply(given.graph, given.operand("in.x")?, affine, running)?)
}

/// A whole layer, with parameters and running statistics of its own.
fn layer(graph: &mut Graph, x: Value, batch_statistics: bool) -> Result<Value, GraphError> {
    let channels = graph.shape(x)[1];
    let affine =
        [graph.parameter("weight", [channels], Init::ONES)?, graph.parameter("bias", [channels], Init::ZEROS)?];
    let running =
        [graph.buffer("running_mean", [channels], Init::ZEROS)?, graph.buffer("running_var", [channels], Init::ONES)?];
    let norm = BatchNorm { eps: 1e-5, momentum: 0.1, batch_statistics };
    norm.apply(graph, x, Some(affine), Some(running))
}

fn case(x: &[usize], batch_statistics: bool, what: &str) -> Case {
    let statistics = if batch_statistics { "batch" } else { "running" };
    let what = format!("x {x:?}{what}, {statistics} statistics");
    let build = move |graph: &mut Graph, x: &[Value]| layer(graph, x[0], batch_statistics);
    Case::differentiated("batch_norm", what, vec![x.to_vec()], build)
        .prepare(|tensors| positive(tensors, &["running_var", "weight"]))
        .tolerance(2e-5, 2e-6)
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 7] =
        [&[2, 1, 1, 1], &[5, 3, 7, 11], &[33, 17], &[4, 64, 9, 9], &[2, 130, 3, 1], &[3, 1, 55, 55], &FOLDING];
    let mut cases: Vec<Case> = shapes.into_iter().flat_map(|x| [true, false].map(|batch| case(x, batch, ""))).collect();
    cases.extend(far());
    for batch in [true, false] {
        cases.push(case(&[3, 5, 7, 4], batch, " with NaN").prepare(|tensors| {
            set(tensors, "x0", &[(30, NAN)]);
            positive(tensors, &["running_var", "weight"]);
        }));
        cases.extend(INFINITE.map(|(what, prepare)| case(&[4, 4, 7, 4], batch, what).prepare(prepare)));
    }
    cases.extend(merged("batch_norm", vec![vec![3, 5, 7, 4]], |graph: &mut Graph, x: &[Value]| {
        layer(graph, x[0], true)
    }));
    cases.extend(through());
    cases
}

/// Activations that differentiate from their output and from their input, without parameters and with them, on planes that
/// divide by four and on others.
const THROUGH: [(Activation, [usize; 4]); 8] = [
    (Activation::Relu, [3, 5, 7, 4]),
    (Activation::Relu, [2, 3, 5, 7]),
    (Activation::Hardtanh { min: -1.5, max: 2.25 }, [3, 5, 7, 4]),
    (Activation::Sigmoid, [2, 3, 5, 7]),
    (Activation::Silu, [3, 5, 7, 4]),
    (Activation::Silu, [2, 3, 5, 7]),
    (Activation::LeakyRelu { negative_slope: 0.1 }, [3, 5, 7, 4]),
    (Activation::HardSwish, [2, 3, 5, 7]),
];

/// Activations after a batch norm, whose gradients go through them; one without weight and bias; and one with running
/// statistics, whose gradients do not.
fn through() -> Vec<Case> {
    let norm = |batch_statistics| BatchNorm { eps: 1e-5, momentum: 0.1, batch_statistics };
    let then = |activation: Activation, x: &[usize]| {
        let what = format!("x {x:?}, then {}, differentiated through it", activation.function());
        Case::differentiated("batch_norm", what, vec![x.to_vec()], move |graph, x| {
            let y = layer(graph, x[0], true)?;
            graph.apply_one(activation, &[y])
        })
    };
    let plain = [[3, 4, 5, 7], [2, 3, 6, 6]].map(|x| {
        let what = format!("x {x:?} without a weight, then silu");
        Case::differentiated("batch_norm", what, vec![x.to_vec()], move |graph, x| {
            let y = norm(true).apply(graph, x[0], None, None)?;
            graph.apply_one(Activation::Silu, &[y])
        })
    });
    let running =
        Case::differentiated("batch_norm", "x [3, 4, 5, 8], running statistics, then silu", vec![vec![3, 4, 5, 8]], {
            move |graph, x| {
                let y = layer(graph, x[0], false)?;
                graph.apply_one(Activation::Silu, &[y])
            }
        });
    let all = THROUGH.iter().map(|(activation, x)| then(*activation, x)).chain(plain).chain([running]);
    all.map(|case| case.prepare(|tensors| positive(tensors, &["running_var"])).tolerance(2e-5, 2e-6)).collect()
}

/// A mean that is so many times the deviation of 1, and the same with a first element far from all others, which a sum
/// that starts from it would not get over. A mean of squares less the square of the mean would have no digit left.
fn far() -> Vec<Case> {
    let all: [Prepared; 4] = [
        (" around 1000", |tensors| shift(tensors, 1e3)),
        (" around 10000", |tensors| shift(tensors, 1e4)),
        (" around 100000", |tensors| shift(tensors, 1e5)),
        (" around 1000, the first element 0", |tensors| {
            shift(tensors, 1e3);
            set(tensors, "x0", &[(0, 0.0)]);
        }),
    ];
    let [near, ..] = all;
    let of = |x: &[usize], (what, prepare): Prepared| case(x, true, what).prepare(prepare).tolerance(1e-5, 1e-6);
    all.into_iter()
        .map(|far| of(&[32, 5, 33, 31], far))
        .chain([of(&[16, 5, 13, 13], near).tolerance(1e-3, 1e-5)])
        .collect()
}

fn shift(tensors: &mut Tensors, mean: f32) {
    if let Some(x) = tensors.get_mut("x0") {
        x.f32_mut().iter_mut().for_each(|x| *x = 1.7 * *x + mean);
    }
    // Small, so that what is compared is the statistics and not the rounding of y.
    for name in ["running_mean", "running_var"] {
        if let Some(tensor) = tensors.get_mut(name) {
            tensor.f32_mut().fill(0.0);
        }
    }
}

/// Where an invocation that takes every seventh element of a channel meets an infinity.
const INFINITE: [Prepared; 4] = [
    (" with an infinity", |tensors| infinite(tensors, &[(9, INFINITY)])),
    (" with an infinity first and last", |tensors| infinite(tensors, &[(0, -INFINITY), (357, -INFINITY)])),
    (" with infinities of both signs", |tensors| infinite(tensors, &[(9, INFINITY), (120, -INFINITY)])),
    (" with a channel of infinities", |tensors| {
        let plane = |image: usize| (112 * image..112 * image + 28).map(|index| (index, INFINITY));
        infinite(tensors, &(0..4).flat_map(plane).collect::<Vec<_>>());
    }),
];

fn infinite(tensors: &mut Tensors, elements: &[(usize, f32)]) {
    set(tensors, "x0", elements);
    positive(tensors, &["running_var"]);
}

fn slopes() -> Vec<Case> {
    let shapes: [&[usize]; 2] = [&[3, 2, 2, 3], &[7, 3]];
    let of = |x: &[usize]| {
        [true, false].map(|batch| case(x, batch, "").prepare(|tensors| positive(tensors, &["running_var"])))
    };
    shapes.into_iter().flat_map(of).collect()
}
