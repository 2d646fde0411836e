//! The card of the losses beside cross-entropy.

use super::Loss;
use crate::graph::{Graph, Value};
use crate::ops::card::{Card, Case, Chapter, Entry, Fixture, FixtureError, INFINITY, NO_GRADIENT, set};
use crate::ops::cross_entropy::card::{
    LOGITS, LOSS_SHAPES, WITH_LARGE, ignore_index, ignore_last, loss_operands, rows_of, target_first_class, weigh,
    weighted_rows_of,
};

/// A loss's row.
const fn loss(name: &'static str, computes: &'static str) -> Entry {
    let shaders = &["loss/row_loss", "loss/mean_of_rows"];
    Entry { name, computes, shapes: LOSS_SHAPES, gradient: "loss_backward", shaders, flops: "5 elements of logits" }
}

pub(crate) static CARD: Card = Card::new(Chapter::Loss, &[
    loss("focal", "mean over rows of -alpha (1 - p)^gamma log p, p the target's softmax probability"),
    loss("mse", "mean over rows and classes of (z - y)^2, y the one-hot target"),
    loss("mse_softmax", "mean over rows and classes of (softmax(z) - y)^2"),
    loss("nll", "mean over rows of -z of the target: the logits are log-probabilities"),
    Entry {
        name: "loss_backward",
        computes: "upstream / rows that count * the gradient of each row's loss; with weights of classes, that of the row's target times, and their sum in place of the rows",
        shapes: "logits, target, count or sum of weights, upstream [1], the forward pass's row numbers where the loss goes through softmax, perhaps weights [C]; dlogits as logits",
        gradient: NO_GRADIENT,
        shaders: &["loss/row_loss_backward"],
        flops: "5 elements of logits",
    },
])
.cases(cases)
.slopes(slopes)
.conformance(&[
    ("focal", focal),
    ("mse", |given| given.apply(Loss::Mse, &loss_operands(given))),
    ("mse_softmax", |given| given.apply(Loss::MseSoftmax, &loss_operands(given))),
    ("nll", nll),
]);

fn focal(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let alpha = given.attributes.number("alpha", Some(1.0))? as f32;
    let gamma = given.attributes.number("gamma", Some(2.0))? as f32;
    given.apply(Loss::Focal { alpha, gamma }, &loss_operands(given))
}

fn nll(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let ignore_index = ignore_index(given)?;
    given.apply(Loss::Nll { ignore_index }, &loss_operands(given))
}

fn case(loss: Loss, [rows, classes]: [usize; 2], what: &str) -> Case {
    let what = format!("logits [{rows}, {classes}]{what}, {loss:?}");
    let build = move |graph: &mut Graph| {
        let inputs = rows_of(graph, rows, classes)?;
        Ok((graph.apply(loss, &inputs)?[0], vec![inputs[0]]))
    };
    Case::of_gradient(loss.function(), what, build).classes(classes)
}

fn weighted(loss: Loss, [rows, classes]: [usize; 2]) -> Case {
    let what = format!("logits [{rows}, {classes}], weights of classes, {loss:?}");
    let build = move |graph: &mut Graph| {
        let inputs = weighted_rows_of(graph, rows, classes)?;
        let outputs = graph.apply(loss, &inputs)?;
        graph.output("rows", outputs[1]);
        Ok((outputs[0], vec![inputs[0]]))
    };
    Case::of_gradient(loss.function(), what, build).classes(classes).prepare(weigh)
}

/// One of each loss, and one that passes a class over.
const WEIGHTED: [Loss; 5] =
    [Loss::Focal { alpha: 0.5, gamma: 2.0 }, Loss::Mse, Loss::MseSoftmax, Loss::NLL, Loss::Nll { ignore_index: 1 }];

fn cases() -> Vec<Case> {
    let focal = Loss::Focal { alpha: 0.25, gamma: 2.0 };
    let mut cases = Vec::new();
    for loss in [focal, Loss::Focal { alpha: 1.0, gamma: 0.5 }, Loss::Mse, Loss::MseSoftmax, Loss::NLL] {
        cases.extend([[1, 1], [7, 10], [65, 3], [33, 1000]].map(|size| case(loss, size, "").prepare(ignore_last)));
    }
    for (which, prepare) in LOGITS {
        let losses = [focal, Loss::Mse, Loss::MseSoftmax, Loss::NLL].into_iter();
        let has_squares = |loss: &Loss| *loss == Loss::Mse && which == WITH_LARGE;
        cases.extend(losses.filter(|loss| !has_squares(loss)).map(|loss| case(loss, [7, 10], which).prepare(prepare)));
    }
    let infinite = |loss| case(loss, [300, 4], ", one with an infinity");
    cases.extend(
        [Loss::Mse, Loss::NLL].map(|loss| infinite(loss).prepare(|tensors| set(tensors, "logits", &[(150, INFINITY)]))),
    );
    for loss in WEIGHTED {
        cases.extend([[1, 2], [7, 10], [4096, 4]].map(|size| weighted(loss, size)));
    }
    cases.push(case(Loss::Nll { ignore_index: 0 }, [65, 3], "").prepare(ignore_last));
    cases.push(equal_rows());
    cases
}

/// Many rows of equal loss, whose rounding errors are equal too and add up.
fn equal_rows() -> Case {
    let build = |graph: &mut Graph| {
        let inputs = rows_of(graph, 65_000, 1)?;
        let loss = graph.apply(Loss::Mse, &inputs)?[0];
        graph.output("loss", loss);
        Ok(())
    };
    let case = Case::new("mse", "65000 rows of equal loss", build).prepare(|tensors| {
        target_first_class(tensors);
        if let Some(logits) = tensors.get_mut("logits") {
            logits.f32_mut().fill(0.1);
        }
    });
    case.tolerance(2e-7, 0.0)
}

fn slopes() -> Vec<Case> {
    let focal = [(1.0, 2.0), (0.5, 0.5), (1.0, 0.0)].map(|(alpha, gamma)| Loss::Focal { alpha, gamma });
    let losses = focal.into_iter().chain([Loss::Mse, Loss::MseSoftmax, Loss::NLL]);
    let plain = losses.map(|loss| case(loss, [4, 3], "").classes(3));
    plain.chain(WEIGHTED.map(|loss| weighted(loss, [6, 3]))).collect()
}
