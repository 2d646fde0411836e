//! The card of padding.

use super::{Pad2d, PadMode};
use crate::graph::Value;
use crate::ops::card::{Card, Case, Chapter, Entry, FOLDING, Fixture, FixtureError, INFINITY, NAN, NO_GRADIENT, set};

pub(crate) static CARD: Card = Card::new(
    Chapter::Layout,
    &[
        Entry {
            name: "pad",
            computes: "images with a number, their mirror image, their border or their other side around them",
            shapes: "the last two dimensions of x with pixels on each side",
            gradient: "slice of dy for a number, else pad_backward",
            shaders: &["pad/forward"],
            flops: "0",
        },
        Entry {
            name: "pad_backward",
            computes: "sum of dy over the places that come from each element",
            shapes: "dy; dx as x",
            gradient: NO_GRADIENT,
            shaders: &["pad/backward"],
            flops: "1 element of dy",
        },
    ],
)
.cases(cases)
.slopes(|| MODES.map(|mode| case(mode, &[2, 3, 4], [2, 1, 0, 2], "")).into())
.conformance(&[
    ("pad", |given| {
        let value = given.attributes.number("value", Some(0.0))? as f32;
        let mode = match given.attributes.word("mode", "constant", &["constant", "reflect", "replicate", "circular"])? {
            "reflect" => PadMode::Reflect,
            "replicate" => PadMode::Replicate,
            "circular" => PadMode::Circular,
            _ => PadMode::Constant(value),
        };
        pad(given, mode)
    }),
    ("reflection_pad2d", |given| pad(given, PadMode::Reflect)),
    ("replication_pad2d", |given| pad(given, PadMode::Replicate)),
    ("circular_pad2d", |given| pad(given, PadMode::Circular)),
    ("constant_pad2d", |given| {
        let value = given.attributes.number("value", None)? as f32;
        pad(given, PadMode::Constant(value))
    }),
]);

/// PyTorch's list begins with the last dimension; one number stands for all sides.
fn pad(given: &mut Fixture<'_>, mode: PadMode) -> Result<Value, FixtureError> {
    let name = if given.attributes.has("pad") { "pad" } else { "padding" };
    let padding = match given.attributes.list(name)?[..] {
        [all] => [all; 4],
        [left, right] => [left, right, 0, 0],
        [left, right, top, bottom] => [left, right, top, bottom],
        _ => return Err(FixtureError::Unsupported { what: "padding of three dimensions".to_owned() }),
    };
    given.apply(Pad2d { mode, padding }, &["in.x"])
}

const MODES: [PadMode; 4] = [PadMode::Constant(-1.5), PadMode::Reflect, PadMode::Replicate, PadMode::Circular];

fn case(mode: PadMode, x: &[usize], padding: [usize; 4], what: &str) -> Case {
    let what = format!("x {x:?}, {mode:?} {padding:?}{what}");
    Case::differentiated("pad", what, vec![x.to_vec()], move |graph, x| graph.apply_one(Pad2d { mode, padding }, x))
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for mode in MODES {
        for (x, padding) in [
            (&[2, 3, 5, 7][..], [3, 1, 0, 4]),
            (&[1, 2, 4, 4], [3, 3, 3, 3]),
            (&[2, 3, 8], [2, 5, 0, 0]),
            (&[3, 17, 13], [0, 0, 16, 1]),
            (&[5, 2], [1, 0, 0, 0]),
        ] {
            cases.push(case(mode, x, padding, ""));
        }
        cases.push(case(mode, &FOLDING, [1, 2, 2, 1], ""));
        cases.push(case(mode, &[2, 3, 6], [2, 1, 1, 2], " with NaN and infinities").prepare(|tensors| {
            set(tensors, "x0", &[(0, NAN), (9, INFINITY), (20, -INFINITY)]);
            set(tensors, "dout", &[(0, NAN), (40, INFINITY), (60, -INFINITY)]);
        }));
    }
    cases.push(case(PadMode::Circular, &[2, 3, 4], [4, 4, 3, 3], ""));
    cases.push(case(PadMode::Replicate, &[2, 1, 3], [5, 40, 100, 70], ""));
    cases.push(case(PadMode::Constant(7.0), &[2, 1, 3], [5, 4, 1, 7], ""));
    cases
}
