//! The card of matrix products.

use super::MatMul;
use crate::ops::card::{Card, Case, Chapter, Entry};

pub(crate) static CARD: Card = Card::new(
    Chapter::Softmax,
    &[Entry {
        name: "matmul",
        computes: "y = A B for each pair of matrices in the last two dimensions, each stored as it is or transposed",
        shapes: "a [..., M, K], b [..., K, N]; y [..., M, N]",
        gradient: "matmul: dA = dy B^T, dB = A^T dy",
        shaders: &["matmul/batched"],
        flops: "2 batch M N K",
    }],
)
.cases(cases)
.slopes(slopes);

fn cases() -> Vec<Case> {
    [[1, 1, 1], [3, 5, 7], [17, 64, 17], [65, 33, 15]].into_iter().flat_map(|size| of(&[2, 3], size)).collect()
}

fn slopes() -> Vec<Case> {
    of(&[2], [3, 4, 5])
}

/// Products of M x K with K x N, each stored as it is and transposed.
fn of(batch: &[usize], [m, k, n]: [usize; 3]) -> Vec<Case> {
    let case = |(transpose_a, transpose_b): (bool, bool)| {
        let a = [batch, &if transpose_a { [k, m] } else { [m, k] }].concat();
        let b = [batch, &if transpose_b { [n, k] } else { [k, n] }].concat();
        let what = format!("a {a:?}{}, b {b:?}{}", primed(transpose_a), primed(transpose_b));
        let product = MatMul { transpose_a, transpose_b };
        Case::differentiated("matmul", what, vec![a, b], move |graph, x| graph.apply_one(product, x))
    };
    [(false, false), (false, true), (true, false), (true, true)].into_iter().map(case).collect()
}

fn primed(transposed: bool) -> &'static str {
    if transposed { " transposed" } else { "" }
}
