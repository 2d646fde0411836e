//! The card of softmax.

use super::Softmax;
use crate::graph::Value;
use crate::ops::card::{Card, Case, Chapter, Entry, Fixture, FixtureError, INFINITY, NAN, NO_GRADIENT, SAME, set};

pub(crate) static CARD: Card = Card::new(
    Chapter::Softmax,
    &[
        Entry {
            name: "softmax",
            computes: "exp(x) / sum of exp(x) over one dimension, all x less the largest",
            shapes: SAME,
            gradient: "softmax_backward",
            shaders: &["softmax/row_sums", "softmax/forward"],
            flops: "5 elements of x",
        },
        Entry {
            name: "log_softmax",
            computes: "the logarithm of softmax",
            shapes: SAME,
            gradient: "softmax_backward",
            shaders: &["softmax/row_sums", "softmax/forward"],
            flops: "5 elements of x",
        },
        Entry {
            name: "softmax_backward",
            computes: "dx = y (dy - sum of y dy), or dy - exp(y) sum of dy for the logarithm",
            shapes: "y and dy of one shape; dx likewise",
            gradient: NO_GRADIENT,
            shaders: &["softmax/row_gradients", "softmax/backward"],
            flops: "4 elements of x",
        },
    ],
)
.cases(cases)
.slopes(slopes)
.conformance(&[("softmax", |given| softmax(given, false)), ("log_softmax", |given| softmax(given, true))]);

fn softmax(given: &mut Fixture<'_>, log: bool) -> Result<Value, FixtureError> {
    let dim = given.dimension_of_x("dim", None)?;
    given.apply(Softmax { dim, log }, &["in.x"])
}

fn case(log: bool, x: &[usize], dim: usize, what: &str) -> Case {
    let op = if log { "log_softmax" } else { "softmax" };
    Case::differentiated(op, format!("x {x:?}, dim {dim}{what}"), vec![x.to_vec()], move |graph, x| {
        graph.apply_one(Softmax { dim, log }, x)
    })
}

fn cases() -> Vec<Case> {
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
    for log in [false, true] {
        cases.extend(all.map(|(x, dim)| {
            // Exponentials would overflow or vanish.
            case(log, x, dim, "").prepare(|tensors| {
                if let Some(x) = tensors.get_mut("x0") {
                    x.f32_mut().iter_mut().for_each(|x| *x *= 80.0);
                }
            })
        }));
        // Rows with NaN, with an infinity, of which a class is masked by -infinity, and all are.
        cases.push(case(log, &[7, 10], 1, " with NaN and infinities").prepare(|tensors| {
            set(tensors, "x0", &[(0, NAN), (15, -NAN), (23, INFINITY), (31, -INFINITY), (38, -INFINITY), (45, 1e30)]);
            let masked: Vec<(usize, f32)> = (50..60).map(|index| (index, -INFINITY)).collect();
            set(tensors, "x0", &masked);
        }));
    }
    cases
}

fn slopes() -> Vec<Case> {
    vec![case(false, &[2, 5, 3], 1, ""), case(true, &[3, 4], 1, "")]
}
