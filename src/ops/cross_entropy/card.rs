//! The card of cross-entropy and of metrics, and what the cases of all losses have in common.

use super::{CountCorrect, CrossEntropy, IGNORED_TARGET, RecordMetrics};
use crate::graph::{Graph, GraphError, Init, Value};
use crate::ops::card::{
    Card, Case, Chapter, Entry, Fixture, FixtureError, INFINITY, NAN, NO_GRADIENT, Prepared, positive, set,
};
use crate::ops::soft_cross_entropy::soft_cross_entropy;
use crate::tensor::{ElementType, TensorSpec, Tensors};

pub(crate) const LOSS_SHAPES: &str = "logits [N, C], target [N] of u32, perhaps weights of classes [C]; the loss [1], the rows that count [1], and what the backward pass needs";

pub(crate) static CARD: Card = Card::new(Chapter::Loss, &[
    Entry {
        name: "cross_entropy",
        computes: "mean over rows of -(1 - s) log p_target - s / C * sum of log p, p = softmax(logits), s the label smoothing; with weights of classes each log p counts its class's times, and the mean is over those of the targets",
        shapes: LOSS_SHAPES,
        gradient: "cross_entropy_backward",
        shaders: &["loss/cross_entropy_rows", "loss/mean_of_rows"],
        flops: "5 elements of logits",
    },
    Entry {
        name: "cross_entropy_backward",
        computes: "(softmax(logits) - smoothed one-hot target) * upstream / rows that count; with weights, these times the terms, and their sum in place of the rows",
        shapes: "logits, target, the forward pass's count or sum of weights, and row sums, upstream [1], perhaps weights [C] and the rows' shares [N]; dlogits as logits",
        gradient: NO_GRADIENT,
        shaders: &["loss/cross_entropy_backward"],
        flops: "5 elements of logits",
    },
    Entry {
        name: "count_correct",
        computes: "number of rows whose target is among the k largest logits",
        shapes: "logits [N, C], target [N] of u32; y [1]",
        gradient: NO_GRADIENT,
        shaders: &["loss/correct_rows", "reduce/sum_parts", "reduce/sum_parts_together"],
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
    let ignore_index = ignore_index(given)?;
    if given.graph.spec(given.operand("in.target")?).element == ElementType::F32 {
        return soft_cross_entropy(given, label_smoothing);
    }
    given.apply(CrossEntropy { label_smoothing, ignore_index }, &loss_operands(given))
}

/// The target whose rows do not count; PyTorch's own is no class, and the reader of targets has it as
/// [`IGNORED_TARGET`].
pub(crate) fn ignore_index(given: &mut Fixture<'_>) -> Result<u32, FixtureError> {
    let index = given.attributes.number("ignore_index", Some(-100.0))?;
    Ok(if (0.0..f64::from(IGNORED_TARGET)).contains(&index) { index as u32 } else { IGNORED_TARGET })
}

/// A loss's operands, of which the weights of classes may be absent.
pub(crate) fn loss_operands(given: &Fixture<'_>) -> Vec<&'static str> {
    let weights = given.optional("in.weight").map(|_| "in.weight");
    ["in.logits", "in.target"].into_iter().chain(weights).collect()
}

/// A loss's inputs, of so many rows and classes.
pub(crate) fn rows_of(graph: &mut Graph, rows: usize, classes: usize) -> Result<[Value; 2], GraphError> {
    let logits = graph.input("logits", TensorSpec::f32([rows, classes]))?;
    Ok([logits, graph.input("target", TensorSpec::u32([rows]))?])
}

/// As [`rows_of`], with a weight for each class.
pub(crate) fn weighted_rows_of(graph: &mut Graph, rows: usize, classes: usize) -> Result<[Value; 3], GraphError> {
    let [logits, target] = rows_of(graph, rows, classes)?;
    Ok([logits, target, graph.input("weights", TensorSpec::f32([classes]))?])
}

/// Makes weights of classes of what is random.
pub(crate) fn weigh(tensors: &mut Tensors) {
    positive(tensors, &["weights"]);
    set(tensors, "weights", &[(0, 0.25)]);
}

fn case([rows, classes]: [usize; 2], label_smoothing: f32, what: &str) -> Case {
    let what = format!("logits [{rows}, {classes}]{what}, label smoothing {label_smoothing}");
    let build = move |graph: &mut Graph| {
        let inputs = rows_of(graph, rows, classes)?;
        let loss = graph.apply(CrossEntropy::smoothed(label_smoothing), &inputs)?;
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
    cases.extend(weighted_cases());
    cases.push(history());
    cases
}

fn weighted(loss: CrossEntropy, [rows, classes]: [usize; 2], what: &str) -> Case {
    let what = format!("logits [{rows}, {classes}]{what}, weights of classes, {loss:?}");
    let build = move |graph: &mut Graph| {
        let inputs = weighted_rows_of(graph, rows, classes)?;
        let outputs = graph.apply(loss, &inputs)?;
        graph.output("rows", outputs[1]);
        Ok((outputs[0], vec![inputs[0]]))
    };
    Case::of_gradient("cross_entropy", what, build).classes(classes)
}

fn weighted_cases() -> Vec<Case> {
    let padded: fn(&mut Tensors) = |tensors| {
        weigh(tensors);
        ignore_last(tensors);
    };
    let all = [([1, 1], 0.0), ([7, 10], 0.0), ([65, 3], 0.1), ([33, 1000], 0.2), ([4096, 2], 1.0)];
    let mut cases: Vec<Case> =
        all.into_iter().map(|(size, s)| weighted(CrossEntropy::smoothed(s), size, "").prepare(padded)).collect();
    let ignoring = |label_smoothing| CrossEntropy { label_smoothing, ignore_index: 2 };
    cases.extend([0.0, 0.3].map(|s| weighted(ignoring(s), [65, 4], "").prepare(padded)));
    // A mean over weights that are 0 together, and over no row.
    cases.push(weighted(CrossEntropy::default(), [5, 3], ", all weights 0").prepare(|tensors| {
        set(tensors, "weights", &[(0, 0.0), (1, 0.0), (2, 0.0)]);
    }));
    let passed_over = CrossEntropy { label_smoothing: 0.1, ignore_index: 0 };
    cases.push(weighted(passed_over, [5, 3], ", no row counts").prepare(target_first_class));
    // The weight of what is masked is 0: its logarithm counts all the same, and is infinite.
    cases.extend([0.0, 0.1].map(|s| {
        weighted(CrossEntropy::smoothed(s), [7, 10], " with a class of weight 0 masked by -infinity").prepare(
            |tensors| {
                target_first_class(tensors);
                set(tensors, "weights", &[(3, 0.0)]);
                set(tensors, "logits", &[(13, -INFINITY)]);
            },
        )
    }));
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
        // The target's is the largest but for NaN.
        set(tensors, "logits", &[(0, NAN), (10, 5.0), (13, -NAN)]);
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
    let mut cases: Vec<Case> =
        [0.0, 0.3].map(|smoothing| case([4, 3], smoothing, ", one row ignored").prepare(ignore_last)).into();
    let passed_over = CrossEntropy { label_smoothing: 0.3, ignore_index: 1 };
    let all = [CrossEntropy::default(), CrossEntropy::smoothed(0.3), passed_over];
    cases.extend(all.map(|loss| weighted(loss, [6, 3], "").prepare(weigh)));
    cases
}
