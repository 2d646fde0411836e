//! The card of cross-entropy and of metrics, and what the cases of all losses have in common.

use super::{CountCorrect, CrossEntropy, IGNORED_TARGET, RecordMetrics};
use crate::graph::{Graph, GraphError, Init, Value};
use crate::ops::card::{Card, Case, Chapter, Entry, Fixture, FixtureError, INFINITY, NAN, NO_GRADIENT, Prepared, set};
use crate::tensor::{TensorSpec, Tensors};

pub(crate) const LOSS_SHAPES: &str = "logits [N, C], target [N] of u32; the loss [1], the rows that count [1], and what the backward pass needs of each row";

pub(crate) static CARD: Card = Card::new(Chapter::Loss, &[
    Entry {
        name: "cross_entropy",
        computes: "mean over rows of -(1 - s) log p_target - s / C * sum of log p, p = softmax(logits), s the label smoothing",
        shapes: LOSS_SHAPES,
        gradient: "cross_entropy_backward",
        shaders: &["loss/cross_entropy_rows", "loss/mean_of_rows"],
        flops: "5 elements of logits",
    },
    Entry {
        name: "cross_entropy_backward",
        computes: "(softmax(logits) - smoothed one-hot target) * upstream / rows that count",
        shapes: "logits, target, the forward pass's count and row sums, upstream [1]; dlogits as logits",
        gradient: NO_GRADIENT,
        shaders: &["loss/cross_entropy_backward"],
        flops: "5 elements of logits",
    },
    Entry {
        name: "count_correct",
        computes: "number of rows whose target is among the k largest logits",
        shapes: "logits [N, C], target [N] of u32; y [1]",
        gradient: NO_GRADIENT,
        shaders: &["loss/correct_rows", "reduce/sum_parts"],
        flops: "0",
    },
    Entry {
        name: "record_metrics",
        computes: "writes (loss, correct, rows) of a step into one row of the history; in place",
        shapes: "three scalars, the step numbers of u32, history [steps, 3]",
        gradient: NO_GRADIENT,
        shaders: &["loss/record_metrics"],
        flops: "0",
    },
])
.cases(cases)
.slopes(slopes)
.conformance(&[("cross_entropy", cross_entropy)]);

fn cross_entropy(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let label_smoothing = given.attributes.number("label_smoothing", Some(0.0))? as f32;
    given.apply(CrossEntropy { label_smoothing }, &["in.logits", "in.target"])
}

/// A loss's inputs, of so many rows and classes.
pub(crate) fn rows_of(graph: &mut Graph, rows: usize, classes: usize) -> Result<[Value; 2], GraphError> {
    let logits = graph.input("logits", TensorSpec::f32([rows, classes]))?;
    Ok([logits, graph.input("target", TensorSpec::u32([rows]))?])
}

fn case([rows, classes]: [usize; 2], label_smoothing: f32, what: &str) -> Case {
    let what = format!("logits [{rows}, {classes}]{what}, label smoothing {label_smoothing}");
    let build = move |graph: &mut Graph| {
        let inputs = rows_of(graph, rows, classes)?;
        let loss = graph.apply(CrossEntropy { label_smoothing }, &inputs)?;
        graph.output("rows", loss[1]);
        for k in [1, 5] {
            let correct = graph.apply_one(CountCorrect { k }, &inputs)?;
            graph.output(&format!("top {k}"), correct);
        }
        Ok((loss[0], vec![inputs[0]]))
    };
    Case::of_gradient("cross_entropy", what, build).classes(classes)
}

fn cases() -> Vec<Case> {
    let all = [([1, 1], 0.0), ([7, 10], 0.0), ([65, 3], 0.1), ([33, 1000], 0.2), ([4097, 2], 0.0)];
    let wide_and_padded: fn(&mut Tensors) = |tensors| {
        if let Some(logits) = tensors.get_mut("logits") {
            logits.f32_mut().iter_mut().for_each(|z| *z *= 90.0);
        }
        ignore_last(tensors);
    };
    let mut cases: Vec<Case> =
        all.into_iter().map(|(size, smoothing)| case(size, smoothing, "").prepare(wide_and_padded)).collect();
    for (which, prepare) in LOGITS {
        cases.extend([0.0, 0.1, 1.0].map(|smoothing| case([7, 10], smoothing, which).prepare(prepare)));
    }
    cases.push(history());
    cases
}

/// What is done to the logits [7, 10] before a loss is taken of them.
pub(crate) const LOGITS: [Prepared; 5] = [
    (" with classes masked by -infinity", |tensors| {
        target_first_class(tensors);
        set(tensors, "logits", &[(1, -INFINITY), (12, -INFINITY), (13, -INFINITY), (29, -INFINITY)]);
    }),
    (" with the target's masked by -infinity", |tensors| {
        target_first_class(tensors);
        set(tensors, "logits", &[(10, -INFINITY)]);
    }),
    (" with NaN", |tensors| {
        target_first_class(tensors);
        set(tensors, "logits", &[(0, NAN), (13, -NAN)]);
    }),
    (" with an infinity", |tensors| {
        target_first_class(tensors);
        set(tensors, "logits", &[(0, INFINITY), (13, INFINITY)]);
    }),
    (WITH_LARGE, |tensors| {
        target_first_class(tensors);
        set(tensors, "logits", &[(0, 1e30), (1, 1e30), (10, -1e30), (20, 1e30), (33, 1e30)]);
    }),
];

/// The name of that whose squares are beyond f32.
pub(crate) const WITH_LARGE: &str = " with 1e30";

pub(crate) fn target_first_class(tensors: &mut Tensors) {
    if let Some(target) = tensors.get_mut("target") {
        target.u32_mut().fill(0);
    }
}

/// The last row's target is no class.
pub(crate) fn ignore_last(tensors: &mut Tensors) {
    if let Some(last) = tensors.get_mut("target").and_then(|target| target.u32_mut().last_mut()) {
        *last = IGNORED_TARGET;
    }
}

fn history() -> Case {
    let build = |graph: &mut Graph| {
        let mut inputs = Vec::new();
        for name in ["loss", "correct", "rows"] {
            inputs.push(graph.input(name, TensorSpec::f32([1]))?);
        }
        inputs.push(graph.input("numbers", TensorSpec::u32([4]))?);
        inputs.push(graph.buffer("history", [6, 3], Init::ZEROS)?);
        graph.apply(RecordMetrics { cursor: 3 }, &inputs).map(|_| ())
    };
    Case::new("record_metrics", "history [6, 3]", build).classes(6).tolerance(0.0, 0.0)
}

fn slopes() -> Vec<Case> {
    [0.0, 0.3].map(|smoothing| case([4, 3], smoothing, ", one row ignored").prepare(ignore_last)).into()
}
