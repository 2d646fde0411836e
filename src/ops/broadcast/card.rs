//! The card of repetitions, and of the sums that undo them.

use super::{BroadcastTo, SumTo};
use crate::ops::card::{Card, Case, Chapter, Entry, unary};
use crate::tensor::Shape;

pub(crate) static CARD: Card = Card::new(
    Chapter::Elementwise,
    &[
        Entry {
            name: "broadcast_to",
            computes: "factor * x, repeated",
            shapes: "x of a shape that broadcasts to y's",
            gradient: "sum_to",
            shaders: &["layout/gather"],
            flops: "0",
        },
        Entry {
            name: "sum_to",
            computes: "factor * x, summed over the dimensions that y lacks or has as 1, in a fixed order",
            shapes: "y of a shape that broadcasts to x's",
            gradient: "broadcast_to",
            shaders: &["reduce/partial_sum", "reduce/sum_parts", "reduce/sum_parts_together"],
            flops: "elements of x",
        },
    ],
)
.slopes(slopes);

fn slopes() -> Vec<Case> {
    let mut cases = unary("broadcast_to", &[vec![3, 1, 2]], |graph, x| {
        graph.apply_one(BroadcastTo { shape: Shape::from([2, 3, 4, 2]), factor: 0.5 }, &[x])
    });
    cases.extend(unary("sum_to", &[vec![3, 4, 2]], |graph, x| {
        graph.apply_one(SumTo { shape: Shape::from([1, 4, 1]), factor: 0.5 }, &[x])
    }));
    cases
}
