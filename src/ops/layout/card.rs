//! The card of ops that move elements.

use super::{Concat, Permute, Slice, ZeroPad};
use crate::graph::{Graph, GraphError, Value};
use crate::ops::card::{Card, Case, Chapter, Entry, FOLDING, Fixture, FixtureError, unary};

pub(crate) static CARD: Card = Card::new(
    Chapter::Layout,
    &[
        Entry {
            name: "permute",
            computes: "dimension d of y is dimension order[d] of x",
            shapes: "sizes of x in another order",
            gradient: "permute by the inverse order",
            shaders: &["layout/gather"],
            flops: "0",
        },
        Entry {
            name: "slice",
            computes: "a box inside x",
            shapes: "y has the box's sizes",
            gradient: "zero_pad",
            shaders: &["layout/gather"],
            flops: "0",
        },
        Entry {
            name: "zero_pad",
            computes: "x with zeros before and after it in each dimension",
            shapes: "before[d] + size + after[d] in dimension d",
            gradient: "slice",
            shaders: &["elementwise/fill", "layout/scatter"],
            flops: "0",
        },
        Entry {
            name: "concat",
            computes: "the inputs one after another along one dimension",
            shapes: "all other sizes equal; y has the sum of the sizes there",
            gradient: "a slice an input",
            shaders: &["layout/scatter"],
            flops: "0",
        },
    ],
)
.cases(cases)
.slopes(slopes)
.conformance(&[("slice", slice), ("zero_pad2d", zero_pad2d), ("concat", concat)]);

fn slice(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let dim = given.dimension_of_x("dim", None)?;
    let (start, end) = (given.attributes.count("start", None)?, given.attributes.count("end", None)?);
    let slice = Slice::of(given.graph.shape(given.operand("in.x")?), dim, start, end);
    given.apply(slice, &["in.x"])
}

fn zero_pad2d(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let padding = given.attributes.counts::<4>("padding", "[left, right, top, bottom]")?;
    given.apply(ZeroPad::around_images(padding), &["in.x"])
}

fn concat(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let rank = given.rank("in.0")?;
    let dim = given.attributes.dimension("dim", None, rank)?;
    let inputs: Vec<Value> = (0..).map_while(|index| given.optional(&format!("in.{index}"))).collect();
    Ok(given.graph.apply_one(Concat { dim }, &inputs)?)
}

fn cases() -> Vec<Case> {
    let images = [vec![1, 12, 1, 1], vec![2, 12, 3, 5], vec![3, 24, 17, 13]];
    let mut cases = Vec::new();
    for (dim, sizes) in [(1, [3, 1, 4]), (0, [1, 2, 1]), (3, [17, 1, 16]), (2, [1, 55, 7])] {
        let shape = |size: &usize| -> Vec<usize> { (0..4).map(|d| if d == dim { *size } else { 5 - d }).collect() };
        let shapes: Vec<Vec<usize>> = sizes.iter().map(shape).collect();
        let what = format!("{shapes:?}, dim {dim}");
        cases.push(Case::differentiated("concat", what, shapes, move |graph, x| graph.apply_one(Concat { dim }, x)));
    }
    let folding = FOLDING.to_vec();
    cases.extend(unary("slice", &images, |graph, x| slice_of(graph, x, 1, 3..11)));
    let padded = |graph: &mut Graph, x: Value| graph.apply_one(ZeroPad::around_images([1, 2, 0, 3]), &[x]);
    cases.extend(unary("zero_pad2d", &images, padded));
    cases.extend(unary("zero_pad2d", std::slice::from_ref(&folding), |graph, x| {
        graph.apply_one(ZeroPad::around_images([1; 4]), &[x])
    }));
    cases.extend(unary("permute", &images, |graph, x| permuted(graph, x, &[2, 0, 3, 1])));
    cases.extend(unary("permute", &[folding], |graph, x| permuted(graph, x, &[0, 1, 3, 2])));
    cases
}

fn slopes() -> Vec<Case> {
    let shapes = vec![vec![2, 1, 3], vec![2, 4, 3]];
    let concat = Case::differentiated("concat", "dim 1", shapes, |graph, x| graph.apply_one(Concat { dim: 1 }, x));
    let mut cases = vec![concat];
    cases.extend(unary("slice", &[vec![3, 5]], |graph, x| slice_of(graph, x, 1, 1..4)));
    cases.extend(unary("zero_pad2d", &[vec![1, 2, 3, 2]], |graph, x| {
        graph.apply_one(ZeroPad::around_images([1, 0, 2, 1]), &[x])
    }));
    cases.extend(unary("permute", &[vec![2, 3, 4]], |graph, x| permuted(graph, x, &[2, 0, 1])));
    cases
}

fn permuted(graph: &mut Graph, x: Value, order: &[usize]) -> Result<Value, GraphError> {
    graph.apply_one(Permute { order: order.to_vec() }, &[x])
}

fn slice_of(graph: &mut Graph, x: Value, dim: usize, range: std::ops::Range<usize>) -> Result<Value, GraphError> {
    let slice = Slice::of(graph.shape(x), dim, range.start, range.end);
    graph.apply_one(slice, &[x])
}
