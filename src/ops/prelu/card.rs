//! The card of PReLU.

use super::PRelu;
use crate::graph::{Graph, Value};
use crate::ops::card::{Card, Case, Chapter, Entry, FOLDING, Fixture, FixtureError, INFINITY, NAN, NO_GRADIENT, set};
use crate::tensor::TensorSpec;

pub(crate) static CARD: Card = Card::new(
    Chapter::Activation,
    &[
        Entry {
            name: "prelu",
            computes: "x where it is above 0, else slope * x",
            shapes: "x, and the slope [1], or [C] of x [N, C, ...]; y as x",
            gradient: "prelu_backward; of the slope a sum",
            shaders: &["prelu/forward"],
            flops: "1 element of y",
        },
        Entry {
            name: "prelu_backward",
            computes: "dy where x is above 0, else slope * dy; and x * dy where x is not above 0, else 0",
            shapes: "x, slope and dy; two tensors of the shape of x",
            gradient: NO_GRADIENT,
            shaders: &["prelu/backward"],
            flops: "2 elements of x",
        },
    ],
)
.cases(cases)
.slopes(|| vec![learned(&[2, 3, 4], 3), learned(&[2, 5], 1), learned(&[3, 4], 4)])
.conformance(&[("prelu", prelu)]);

fn prelu(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    given.apply(PRelu, &["in.x", "param.weight"])
}

/// With the gradient of its slopes.
fn learned(x: &[usize], slopes: usize) -> Case {
    let what = format!("x {x:?}, {slopes} slopes");
    Case::differentiated("prelu", what, vec![x.to_vec(), vec![slopes]], |graph, x| graph.apply_one(PRelu, x))
}

/// With slopes that are not trained.
fn given(x: &[usize], slopes: usize) -> Case {
    let what = format!("x {x:?}, {slopes} slopes that are given");
    let x = x.to_vec();
    Case::of_gradient("prelu", what, move |graph: &mut Graph| {
        let x = graph.input("x0", TensorSpec::f32(x.clone()))?;
        let slope = graph.input("slope", TensorSpec::f32([slopes]))?;
        Ok((graph.apply_one(PRelu, &[x, slope])?, vec![x]))
    })
}

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], usize); 9] = [
        (&[1, 1, 1, 1], 1),
        (&[2, 3, 5, 7], 3),
        (&[2, 3, 5, 7], 1),
        (&[3, 6, 4, 4], 6),
        (&[3, 4, 4, 4], 1),
        (&[7, 10], 10),
        (&[8, 12], 1),
        (&[5], 1),
        (&[2, 70_001, 2], 70_001),
    ];
    let mut cases: Vec<Case> = shapes.into_iter().map(|(x, slopes)| learned(x, slopes)).collect();
    cases.extend([given(&[2, 3, 5, 7], 3), given(&[2, 3, 4, 4], 3), given(&FOLDING, 1)]);
    // Each kind of number in the first channel, and as an upstream gradient in the second.
    for inner in [9, 12] {
        let case = learned(&[2, 3, inner], 3);
        let what = format!("{} with NaN, infinities and zeros", case.what);
        let case = Case { what, ..case };
        cases.push(case.prepare(|tensors| {
            let special = [NAN, -NAN, INFINITY, -INFINITY, 0.0, -0.0, 1e-30, -1e-30];
            set(tensors, "x0", &(0..8).zip(special).collect::<Vec<_>>());
            set(tensors, "dout", &(12..20).zip(special).collect::<Vec<_>>());
        }));
    }
    cases
}
