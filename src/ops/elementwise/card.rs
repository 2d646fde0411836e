//! The cards of sums, products, copies and constants.

use super::{Add, Copy, Mul, Scale};
use crate::graph::Value;
use crate::ops::activation::merged;
use crate::ops::card::{Card, Case, Chapter, Entry, FOLDING, NO_INPUT, SAME, binary, set, unary};

const PAIR: &str = "a and b broadcast as in numpy; y has the broadcast shape";

pub(crate) static CARD: Card = Card::new(
    Chapter::Elementwise,
    &[
        Entry {
            name: "add",
            computes: "a + b",
            shapes: PAIR,
            gradient: "dy to both, by sum_to where it was broadcast",
            shaders: &["elementwise/add", "elementwise/broadcast"],
            flops: "elements of y",
        },
        Entry {
            name: "mul",
            computes: "a * b",
            shapes: PAIR,
            gradient: "mul of dy with the other factor, by sum_to where it was broadcast",
            shaders: &["elementwise/mul", "elementwise/broadcast"],
            flops: "elements of y",
        },
        Entry {
            name: "scale",
            computes: "factor * x",
            shapes: SAME,
            gradient: "scale",
            shaders: &["elementwise/scale"],
            flops: "elements of y",
        },
        Entry {
            name: "copy",
            computes: "x, in memory of its own",
            shapes: SAME,
            gradient: "dy",
            shaders: &["elementwise/copy"],
            flops: "0",
        },
        Entry {
            name: "fill",
            computes: "a tensor whose every element is one value",
            shapes: "no input; y as asked for",
            gradient: NO_INPUT,
            shaders: &["elementwise/fill"],
            flops: "0",
        },
    ],
)
.cases(cases)
.slopes(slopes)
.conformance(&[
    ("add", |given| given.apply(Add, &["in.a", "in.b"])),
    ("mul", |given| given.apply(Mul, &["in.a", "in.b"])),
]);

fn cases() -> Vec<Case> {
    let mut cases =
        binary("add", &[vec![1], vec![3, 7, 11], vec![3, 4, 9], FOLDING.to_vec()], |graph, x| graph.apply_one(Add, x));
    cases.extend(binary("mul", &[vec![3, 4, 9], FOLDING.to_vec()], |graph, x| graph.apply_one(Mul, x)));
    cases.extend(unary("scale", &[vec![3, 7, 11], vec![3, 4, 9]], |graph, x| {
        graph.apply_one(Scale { factor: -1.7 }, &[x])
    }));
    cases.extend(unary("copy", &[vec![3, 7, 11], vec![3, 4, 9]], |graph, x| graph.apply_one(Copy, &[x])));
    cases.extend(broadcasts());
    let channels = |size: usize| vec![vec![2, 5, size, 3], vec![5, 1, 1]];
    for shapes in [vec![vec![3, 7, 11]; 2], vec![vec![3, 4, 9]; 2], channels(4), channels(3)] {
        cases.extend(merged("add", shapes, |graph, x: &[Value]| graph.apply_one(Add, x)));
    }
    let shapes = vec![vec![4, 3, 256], vec![3, 1]];
    let upstream =
        Case::differentiated("add", "broadcast, gradients with infinities", shapes, |graph, x| graph.apply_one(Add, x));
    cases.push(upstream.prepare(|tensors| {
        set(tensors, "dout", &[(40, f32::NEG_INFINITY), (260, f32::INFINITY), (1030, f32::NEG_INFINITY)]);
    }));
    cases
}

/// Two shapes that broadcast; a gradient is summed back to its input's shape.
fn broadcasts() -> Vec<Case> {
    let all: [(&[usize], &[usize]); 11] = [
        (&[2, 5, 4, 3], &[2, 5, 1, 1]),
        (&[2, 5, 4, 3], &[5, 1, 3]),
        (&[3, 1, 7], &[2, 1, 11, 1]),
        (&[3, 1, 2, 1, 2], &[1, 4, 1, 3, 1]),
        (&[2, 1, 3, 1, 2, 1], &[1, 2, 1, 3, 1, 2]),
        (&[65, 33], &[33]),
        (&[1], &[3, 129]),
        (&[2, 3, 55, 55], &[1, 3, 1, 1]),
        (&[70_001, 2], &[1, 2]),
        (&[2, 5, 1, 1], &[2, 5, 4, 4]),
        (&[6, 8], &[8]),
    ];
    let mut cases = Vec::new();
    for (a, b) in all {
        let (shapes, what) = (vec![a.to_vec(), b.to_vec()], format!("a {a:?}, b {b:?}"));
        cases.push(Case::differentiated("add", &what, shapes.clone(), |graph, x| graph.apply_one(Add, x)));
        cases.push(Case::differentiated("mul", &what, shapes, |graph, x| graph.apply_one(Mul, x)));
    }
    cases
}

fn slopes() -> Vec<Case> {
    let sum = vec![vec![2, 3, 4], vec![3, 1]];
    let product = vec![vec![3, 1], vec![2, 1, 4]];
    let mut cases = vec![
        Case::differentiated("add", "broadcast", sum, |graph, x| graph.apply_one(Add, x)),
        Case::differentiated("mul", "broadcast", product, |graph, x| graph.apply_one(Mul, x)),
    ];
    cases.extend(unary("mul", &[vec![3, 2]], |graph, x| graph.apply_one(Mul, &[x, x])));
    cases.extend(unary("scale", &[vec![5]], |graph, x| graph.apply_one(Scale { factor: -1.5 }, &[x])));
    cases.extend(unary("copy", &[vec![5]], |graph, x| graph.apply_one(Copy, &[x])));
    cases
}
