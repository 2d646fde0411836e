//! The card of dropout.

use super::Dropout;
use crate::graph::{Graph, Value};
use crate::ops::card::{Card, Case, Chapter, Entry, Fixture, FixtureError, INFINITY, NAN, set};
use crate::tensor::{HostTensor, TensorSpec, Tensors};

pub(crate) static CARD: Card = Card::new(
    Chapter::Normalisation,
    &[Entry {
        name: "dropout",
        computes: "x / (1 - p) with probability 1 - p, else 0; the bits come from seed, step, layer and element alone",
        shapes: "x and the step numbers of u32; y as x",
        gradient: "dropout of dy with the same bits",
        shaders: &["dropout/dropout"],
        flops: "0",
    }],
)
.cases(cases)
.slopes(|| vec![case(&[4, 7], 0.4, "")])
.conformance(&[("dropout", dropout)]);

/// Cases hold it only where it is the identity: its bits are our own.
fn dropout(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let p = given.attributes.number("p", Some(0.5))?;
    match given.train && p > 0.0 {
        false => given.operand("in.x"),
        true => Err(FixtureError::Unsupported {
            what: "dropout that drops, whose random bits are PyTorch's own,".to_owned(),
        }),
    }
}

fn case(x: &[usize], p: f32, what: &str) -> Case {
    let shape = x.to_vec();
    let build = move |graph: &mut Graph| {
        let x = graph.input("x0", TensorSpec::f32(shape.clone()))?;
        let numbers = graph.input("numbers", TensorSpec::u32([4]))?;
        Ok((graph.apply_one(Dropout { p, salt: 7 }, &[x, numbers])?, vec![x]))
    };
    let case = Case::of_gradient("dropout", format!("x {x:?}, p {p}{what}"), build);
    case.prepare(seed_and_step).tolerance(1e-7, 0.0)
}

fn cases() -> Vec<Case> {
    let all: [(&[usize], f32); 3] = [(&[1], 0.5), (&[64, 100], 0.3), (&[3, 7, 11, 13], 0.9)];
    let special = case(&[32, 7, 11], 0.5, " with NaN and infinities").prepare(not_finite);
    all.into_iter().map(|(x, p)| case(x, p, "")).chain([special]).collect()
}

/// Some seed and step of the random bits.
pub(crate) fn seed_and_step(tensors: &mut Tensors) {
    for tensor in tensors.values_mut() {
        if let HostTensor::U32(numbers) = tensor {
            numbers.iter_mut().zip([0x9e37_79b9, 41, 1003, 0]).for_each(|(number, value)| *number = value);
        }
    }
}

/// Elements of [32, 7, 11] that are dropped and elements that are kept, in what comes in and in what comes back.
pub(crate) fn not_finite(tensors: &mut Tensors) {
    seed_and_step(tensors);
    for (name, first) in [("x0", 0), ("dout", 35)] {
        let special = (first..2464).step_by(77).zip([NAN, INFINITY, -INFINITY, -NAN].repeat(8));
        set(tensors, name, &special.collect::<Vec<_>>());
    }
}
