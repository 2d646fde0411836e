//! The card of cross-entropy with a probability for each class.

use super::SoftCrossEntropy;
use crate::graph::{Graph, Value};
use crate::ops::card::{Card, Case, Chapter, Entry, Fixture, FixtureError, INFINITY, NAN, NO_GRADIENT, set};
use crate::tensor::{TensorSpec, Tensors};

pub(crate) static CARD: Card = Card::new(
    Chapter::Loss,
    &[
        Entry {
            name: "soft_cross_entropy",
            computes: "mean over rows of -sum of w ((1 - s) t + s / C) log p, p = softmax(logits), t the target, s the label smoothing, w the weights of classes, or 1",
            shapes: "logits and target [N, C], perhaps weights [C]; the loss [1], the rows [1], and what the backward pass needs of each row",
            gradient: "soft_cross_entropy_backward; none of the target",
            shaders: &["loss/soft_cross_entropy_rows", "loss/mean_of_rows"],
            flops: "8 elements of logits",
        },
        Entry {
            name: "soft_cross_entropy_backward",
            computes: "(softmax(logits) * sum of the row's factors of log p - these factors) * upstream / rows",
            shapes: "logits, target, the forward pass's row sums and sums of factors, upstream [1], perhaps weights [C]; dlogits as logits",
            gradient: NO_GRADIENT,
            shaders: &["loss/soft_cross_entropy_backward"],
            flops: "7 elements of logits",
        },
    ],
)
.cases(cases)
.slopes(|| vec![case([4, 3], 0.0, false, ""), case([3, 4], 0.3, true, "")]);

/// What conformance cases call cross-entropy, where the target is of f32.
pub(crate) fn soft_cross_entropy(given: &mut Fixture<'_>, label_smoothing: f32) -> Result<Value, FixtureError> {
    let mut operands = vec!["in.logits", "in.target"];
    operands.extend(given.optional("in.weight").map(|_| "in.weight"));
    given.apply(SoftCrossEntropy { label_smoothing }, &operands)
}

fn case([rows, classes]: [usize; 2], label_smoothing: f32, is_weighted: bool, what: &str) -> Case {
    let weights = if is_weighted { ", weights" } else { "" };
    let what = format!("logits [{rows}, {classes}]{what}, label smoothing {label_smoothing}{weights}");
    let build = move |graph: &mut Graph| {
        let logits = graph.input("logits", TensorSpec::f32([rows, classes]))?;
        let mut inputs = vec![logits, graph.input("target", TensorSpec::f32([rows, classes]))?];
        if is_weighted {
            inputs.push(graph.input("weights", TensorSpec::f32([classes]))?);
        }
        let loss = graph.apply(SoftCrossEntropy { label_smoothing }, &inputs)?;
        graph.output("rows", loss[1]);
        Ok((loss[0], vec![logits]))
    };
    Case::of_gradient("soft_cross_entropy", what, build).prepare(positive_targets)
}

/// Targets, which are random in [-1, 1), become positive; that those of a row add up to 1 is no matter.
fn positive_targets(tensors: &mut Tensors) {
    if let Some(target) = tensors.get_mut("target") {
        target.f32_mut().iter_mut().for_each(|t| *t = t.abs());
    }
}

fn cases() -> Vec<Case> {
    let large: fn(&mut Tensors) = |tensors| {
        positive_targets(tensors);
        if let Some(logits) = tensors.get_mut("logits") {
            logits.f32_mut().iter_mut().for_each(|z| *z *= 90.0);
        }
    };
    let sizes = [([1, 1], 0.0), ([7, 10], 0.1), ([65, 3], 0.0), ([33, 1000], 0.2), ([4097, 4], 1.0)];
    let mut cases: Vec<Case> = Vec::new();
    for is_weighted in [false, true] {
        cases.extend(sizes.map(|(size, smoothing)| case(size, smoothing, is_weighted, "").prepare(large)));
    }
    let special = case([300, 4], 0.1, true, ", some not finite");
    cases.push(special.prepare(|tensors| {
        positive_targets(tensors);
        set(tensors, "logits", &[(5, NAN), (150, INFINITY), (600, -INFINITY)]);
    }));
    // A probability of 0 times an infinite logarithm.
    let masked = case([7, 10], 0.0, false, ", one masked by -infinity that is not wanted");
    cases.push(masked.prepare(|tensors| {
        positive_targets(tensors);
        set(tensors, "logits", &[(13, -INFINITY)]);
        set(tensors, "target", &[(13, 0.0)]);
    }));
    cases
}
