//! The card of binary cross-entropy. Its mean is on the card of the function that takes it.

use super::BinaryCrossEntropy;
use crate::graph::Graph;
use crate::ops::card::{Card, Case, Chapter, Entry, INFINITY, NAN, NO_GRADIENT, SAME, set};
use crate::tensor::{TensorSpec, Tensors};

pub(crate) static CARD: Card = Card::new(
    Chapter::Loss,
    &[
        Entry {
            name: "bce",
            computes: "-t log x - (1 - t) log(1 - x) for each element, no logarithm below -100",
            shapes: "x and the targets t of one shape; y as x",
            gradient: "bce_backward; none of the targets",
            shaders: &["loss/binary_cross_entropy"],
            flops: "6 elements of y",
        },
        Entry {
            name: "bce_with_logits",
            computes: "-w t log p - (1 - t) log(1 - p) for each element, p = sigmoid(x), w the weight of positives, or 1",
            shapes: "x and the targets t of one shape, perhaps w of its last dimensions; y as x",
            gradient: "bce_backward; none of the targets and weights",
            shaders: &["loss/binary_cross_entropy"],
            flops: "6 elements of y",
        },
        Entry {
            name: "bce_backward",
            computes: "upstream * (x - t) / max(x (1 - x), 1e-12), or upstream * ((w t + 1 - t) sigmoid(x) - w t)",
            shapes: SAME,
            gradient: NO_GRADIENT,
            shaders: &["loss/binary_cross_entropy_backward"],
            flops: "6 elements of x",
        },
    ],
)
.cases(cases)
.slopes(slopes);

use BinaryCrossEntropy::{OfLogits, OfProbabilities};

fn case(loss: BinaryCrossEntropy, x: &[usize], weights: &[usize], what: &str) -> Case {
    let told = if weights.is_empty() { String::new() } else { format!(", weights of positives {weights:?}") };
    let what = format!("x {x:?}{told}{what}");
    let (x, weights) = (x.to_vec(), weights.to_vec());
    let build = move |graph: &mut Graph| {
        let input = graph.input("x0", TensorSpec::f32(x.clone()))?;
        let mut inputs = vec![input, graph.input("target", TensorSpec::f32(x.clone()))?];
        if !weights.is_empty() {
            inputs.push(graph.input("weights", TensorSpec::f32(weights.clone()))?);
        }
        Ok((graph.apply_one(loss, &inputs)?, vec![input]))
    };
    Case::of_gradient(loss.function(), what, build).prepare(if loss == OfLogits { labels } else { probabilities })
}

/// Targets, which are random in [-1, 1), become numbers from 0 to 1, every third of them 0 or 1.
fn labels(tensors: &mut Tensors) {
    if let Some(targets) = tensors.get_mut("target") {
        for (index, t) in targets.f32_mut().iter_mut().enumerate() {
            *t = if index % 3 == 0 { (index % 2) as f32 } else { t.abs() };
        }
    }
}

/// As [`labels`], and x too, away from both ends.
fn probabilities(tensors: &mut Tensors) {
    labels(tensors);
    if let Some(x) = tensors.get_mut("x0") {
        x.f32_mut().iter_mut().for_each(|x| *x = 0.5 + 0.45 * *x);
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for x in [&[1, 1][..], &[7, 10], &[65, 4], &[3, 2, 3, 5], &[70_001]] {
        cases.extend([OfLogits, OfProbabilities].map(|loss| case(loss, x, &[], "")));
    }
    let weighted: [(&[usize], &[usize]); 4] =
        [(&[7, 10], &[10]), (&[65, 4], &[4]), (&[2, 3, 5], &[3, 5]), (&[9], &[9])];
    cases.extend(weighted.map(|(x, weights)| case(OfLogits, x, weights, "")));
    cases.push(case(OfLogits, &[64, 4], &[4], ", not finite and large").prepare(|tensors| {
        labels(tensors);
        let special = [NAN, INFINITY, -INFINITY, 90.0, -90.0, 1e30, -1e30, -NAN].repeat(3);
        set(tensors, "x0", &(0..24).zip(special).collect::<Vec<_>>());
    }));
    cases.push(case(OfProbabilities, &[64, 4], &[], ", with NaN, 0 and 1").prepare(|tensors| {
        probabilities(tensors);
        let special = [NAN, 0.0, 1.0, 1e-20, 0.999_999_9, -NAN].repeat(4);
        set(tensors, "x0", &(0..24).zip(special).collect::<Vec<_>>());
        // Upstream gradients that keep 1e12 times them within the numbers beside.
        set(tensors, "dout", &[(1, 1e-12), (2, 1e-12), (3, 1e-12)]);
    }));
    cases
}

fn slopes() -> Vec<Case> {
    let logits = [&[][..], &[3]].map(|weights| case(OfLogits, &[4, 3], weights, ""));
    let inner = case(OfProbabilities, &[4, 3], &[], "").prepare(|tensors| {
        labels(tensors);
        if let Some(x) = tensors.get_mut("x0") {
            x.f32_mut().iter_mut().for_each(|x| *x = 0.5 + 0.2 * *x);
        }
    });
    logits.into_iter().chain([inner]).collect()
}
