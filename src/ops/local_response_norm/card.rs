//! The card of local response normalisation.

use super::LocalResponseNorm;
use crate::graph::Value;
use crate::ops::card::{Card, Case, Chapter, Entry, Fixture, FixtureError, INFINITY, NAN, NO_GRADIENT, set};

pub(crate) static CARD: Card = Card::new(Chapter::Normalisation, &[
    Entry {
        name: "local_response_norm",
        computes: "y[c] = x[c] / s[c]^beta, s[c] = k + alpha / size * sum of x^2 over the channels c - size / 2 .. c + (size - 1) / 2",
        shapes: "x [N, C, ...]; y and s as x",
        gradient: "local_response_norm_backward",
        shaders: &["local_response_norm/forward"],
        flops: "2 size elements of x",
    },
    Entry {
        name: "local_response_norm_backward",
        computes: "dx[c] = dy[c] / s[c]^beta - 2 alpha beta / size * x[c] * sum of dy[j] x[j] / s[j]^(beta + 1)",
        shapes: "x, s, dy of one shape; dx likewise",
        gradient: NO_GRADIENT,
        shaders: &["local_response_norm/backward_terms", "local_response_norm/backward"],
        flops: "2 size elements of x",
    },
])
.cases(cases)
.slopes(|| vec![case(4, &[2, 6, 2], "")])
.conformance(&[("local_response_norm", local_response_norm)]);

fn local_response_norm(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let norm = LocalResponseNorm {
        size: given.attributes.count("size", None)?,
        alpha: given.attributes.number("alpha", Some(1e-4))? as f32,
        beta: given.attributes.number("beta", Some(0.75))? as f32,
        k: given.attributes.number("k", Some(1.0))? as f32,
    };
    given.apply(norm, &["in.x"])
}

fn case(size: usize, x: &[usize], what: &str) -> Case {
    let norm = LocalResponseNorm { size, alpha: 0.7, beta: 0.75, k: 1.0 };
    let what = format!("x {x:?}{what}, size {size}");
    Case::differentiated("local_response_norm", what, vec![x.to_vec()], move |graph, x| graph.apply_one(norm, x))
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 3] = [&[2, 9, 4, 4], &[1, 1, 3, 3], &[1, 96, 27, 13]];
    let mut cases: Vec<Case> = [1, 2, 5].into_iter().flat_map(|size| shapes.map(|x| case(size, x, ""))).collect();
    let special = case(3, &[2, 9, 4, 4], " with NaN and infinities");
    cases.push(special.prepare(|tensors| set(tensors, "x0", &[(3, NAN), (150, INFINITY)])));
    cases
}
