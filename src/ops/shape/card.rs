//! The card of reshapes.

use super::Reshape;
use crate::graph::Value;
use crate::ops::card::{Card, Case, Chapter, Entry, Fixture, FixtureError, unary};
use crate::tensor::Shape;

pub(crate) static CARD: Card = Card::new(
    Chapter::Layout,
    &[Entry {
        name: "reshape",
        computes: "the same memory under another shape; costs nothing",
        shapes: "y has as many elements as x",
        gradient: "reshape",
        shaders: &[],
        flops: "0",
    }],
)
.slopes(slopes)
.conformance(&[("flatten", flatten)]);

fn flatten(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let start = given.dimension_of_x("start_dim", Some(1))?;
    let (kept, joined) = given.graph.shape(given.operand("in.x")?).split_at(start);
    let shape: Shape = [kept, &[joined.iter().product()]].concat().into();
    given.apply(Reshape { shape }, &["in.x"])
}

fn slopes() -> Vec<Case> {
    unary("reshape", &[vec![2, 3, 4]], |graph, x| graph.apply_one(Reshape { shape: Shape::from([2, 12]) }, &[x]))
}
