//! The card of group normalisation.

use super::GroupNorm;
use crate::graph::{Graph, GraphError, Init, Value};
use crate::ops::activation::merged;
use crate::ops::card::{Card, Case, Chapter, Entry, FOLDING, Fixture, FixtureError, INFINITY, NAN, NO_GRADIENT, set};

pub(crate) static CARD: Card = Card::new(Chapter::Normalisation, &[
    Entry {
        name: "group_norm",
        computes: "(x - mean) / sqrt(var + eps) * weight + bias, with the mean and the biased variance of each image's group of channels, which batch_statistics gives",
        shapes: "x [N, C, ...], weight and bias [C] both or neither, mean and var [N groups]; y as x",
        gradient: "group_norm_sums and group_norm_input_gradient",
        shaders: &["group_norm/normalize"],
        flops: "2 elements of x",
    },
    Entry {
        name: "group_norm_sums",
        computes: "for each group the sums of weight * dy * normalised x and of weight * dy; dweight[c] = sum of dy * normalised x, dbias[c] = sum of dy",
        shapes: "x, dy, weight or absent, mean, var; two of [N groups], with weight two of [C]",
        gradient: NO_GRADIENT,
        shaders: &["group_norm/plane_sums", "group_norm/group_sums", "group_norm/channel_sums"],
        flops: "4 elements of x",
    },
    Entry {
        name: "group_norm_input_gradient",
        computes: "(weight * dy - the group's mean of it - normalised x times its mean product with it) / sqrt(var + eps)",
        shapes: "x, dy, weight or absent, mean, var and the two sums of each group; dx as x",
        gradient: NO_GRADIENT,
        shaders: &["group_norm/input_gradient"],
        flops: "6 elements of x",
    },
])
.cases(cases)
.slopes(|| vec![case(&[2, 6, 3, 2], 3, true, ""), case(&[3, 4, 2], 2, false, ""), case(&[2, 4], 1, true, "")])
.conformance(&[("group_norm", group_norm)]);

fn group_norm(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let norm = GroupNorm {
        groups: given.attributes.count("num_groups", None)?,
        eps: given.attributes.number("eps", Some(1e-5))? as f32,
    };
    let affine = given.optional("param.weight").zip(given.optional("param.bias")).map(<[Value; 2]>::from);
    let x = given.operand("in.x")?;
    Ok(norm.apply(given.graph, x, affine)?)
}

/// A whole layer, with parameters of its own if it is affine.
fn layer(graph: &mut Graph, x: Value, groups: usize, affine: bool) -> Result<Value, GraphError> {
    let channels = graph.shape(x)[1];
    let mut parameter = |name: &str| graph.parameter(name, [channels], Init::ONES);
    let affine = match affine {
        true => Some([parameter("weight")?, parameter("bias")?]),
        false => None,
    };
    GroupNorm { groups, eps: 1e-5 }.apply(graph, x, affine)
}

fn case(x: &[usize], groups: usize, affine: bool, what: &str) -> Case {
    let what = format!("x {x:?}{what} in {groups} groups{}", if affine { "" } else { ", no weight" });
    let build = move |graph: &mut Graph, x: &[Value]| layer(graph, x[0], groups, affine);
    Case::differentiated("group_norm", what, vec![x.to_vec()], build).tolerance(2e-5, 2e-6)
}

fn cases() -> Vec<Case> {
    let all: [(&[usize], usize); 9] = [
        (&[1, 2, 1, 1], 1),
        (&[5, 3, 7, 11], 3),
        (&[3, 12, 5, 3], 4),
        (&[33, 18], 2),
        (&[2, 64, 9, 9], 32),
        (&[3, 6, 55, 55], 1),
        (&[300, 8, 3], 2),
        (&[1, 2, 300, 301], 2),
        (&FOLDING, 1),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for (x, groups) in all {
        cases.extend([true, false].map(|affine| case(x, groups, affine, "")));
    }
    // Mean of squares less square of mean would have no digit left. One unit in the last place of the mean is 6e-5.
    cases.push(case(&[4, 6, 13, 13], 3, true, " around 1000").tolerance(1e-4, 1e-6).prepare(|tensors| {
        if let Some(x) = tensors.get_mut("x0") {
            x.f32_mut().iter_mut().for_each(|x| *x = 1.7 * *x + 1000.0);
        }
    }));
    cases.push(case(&[3, 6, 7, 4], 2, true, " with NaN").prepare(|tensors| set(tensors, "x0", &[(30, NAN)])));
    cases.push(case(&[3, 6, 7, 4], 2, true, " with infinities").prepare(|tensors| {
        set(tensors, "x0", &[(9, INFINITY), (250, -INFINITY), (260, INFINITY)]);
    }));
    cases.extend(merged("group_norm", vec![vec![3, 6, 7, 4]], |graph: &mut Graph, x: &[Value]| {
        layer(graph, x[0], 3, true)
    }));
    cases
}
