//! The cards of functions that are made of several ops.

use super::{LayerNorm, Mode, Scope};
use crate::graph::{Graph, GraphError, Value};
use crate::ops::card::{Card, Case, Chapter, Fixture, FixtureError, INFINITY, set, unary};
use crate::ops::{Add, GroupNorm, Mul, dropout};

/// Every card of this folder.
pub static ALL: &[&Card] =
    &[&SHUFFLE, &MEAN, &LAYER_NORM, &ATTENTION, &STOCHASTIC_DEPTH, &DROPOUT2D, &INSTANCE_NORM, &super::losses::CARD];

fn train(graph: &mut Graph) -> Scope<'_> {
    Scope::new(graph, Mode::Train)
}

static SHUFFLE: Card = Card::new(Chapter::Layout, &[])
    .cases(|| {
        let images = [vec![1, 12, 1, 1], vec![2, 12, 3, 5], vec![3, 24, 17, 13]];
        unary("channel_shuffle", &images, |graph, x| train(graph).channel_shuffle(x, 3))
    })
    .slopes(|| unary("channel_shuffle", &[vec![2, 6, 2, 1]], |graph, x| train(graph).channel_shuffle(x, 2)))
    .conformance(&[("channel_shuffle", |given| {
        let groups = given.attributes.count("groups", None)?;
        let x = given.operand("in.x")?;
        Ok(train(given.graph).channel_shuffle(x, groups)?)
    })]);

static MEAN: Card =
    Card::new(Chapter::Elementwise, &[]).cases(means).slopes(mean_slopes).conformance(&[("mean", |given| {
        let rank = given.rank("in.x")?;
        let dims = given.attributes.dimensions("dim", rank)?;
        let keepdim = given.attributes.flag("keepdim", false)?;
        let x = given.operand("in.x")?;
        Ok(train(given.graph).mean(x, &dims, keepdim)?)
    })]);

fn mean(x: &[usize], dims: &'static [usize], keepdim: bool, what: &str) -> Case {
    let what = format!("x {x:?}{what}, dims {dims:?}");
    Case::differentiated("mean", what, vec![x.to_vec()], move |graph, x| train(graph).mean(x[0], dims, keepdim))
}

fn means() -> Vec<Case> {
    let images: [&[usize]; 3] = [&[1, 12, 1, 1], &[2, 12, 3, 5], &[3, 24, 17, 13]];
    let mut cases: Vec<Case> = images.into_iter().map(|x| mean(x, &[2, 3], false, "")).collect();
    cases.push(mean(&[2, 3, 4, 2, 3, 2], &[0, 2, 4], false, ""));
    cases.push(mean(&[3, 70_001], &[1], true, ""));
    // Many equal terms, whose rounding errors are equal too and add up.
    let equal =
        [mean(&[1, 1 << 20], &[1], false, ", equal terms"), mean(&[64, 4, 64, 64], &[0, 2, 3], false, ", equal terms")];
    cases.extend(equal.map(|case| {
        case.prepare(|tensors| tensors.values_mut().for_each(|tensor| tensor.f32_mut().fill(0.1))).tolerance(2e-7, 0.0)
    }));
    // Row or channel 0 has one infinity, the next infinities of both signs, the last none.
    cases.push(mean(&[3, 5000], &[1], false, " with infinities").prepare(|tensors| {
        set(tensors, "x0", &[(40, INFINITY), (5020, INFINITY), (9000, -INFINITY)]);
    }));
    cases.push(mean(&[4, 3, 16, 16], &[0, 2, 3], false, " with infinities").prepare(|tensors| {
        set(tensors, "x0", &[(40, -INFINITY), (260, INFINITY), (1030, -INFINITY)]);
    }));
    cases
}

fn mean_slopes() -> Vec<Case> {
    vec![mean(&[3, 4, 2], &[0, 2], false, ""), mean(&[2, 3, 2, 1, 2, 2], &[0, 2, 5], true, "")]
}

static LAYER_NORM: Card = Card::new(Chapter::Normalisation, &[])
    .cases(|| {
        let all: [(&[usize], usize); 5] =
            [(&[3, 5, 12], 1), (&[1, 1, 3], 1), (&[2, 7, 129], 2), (&[2, 197, 64], 1), (&[3, 70_001], 1)];
        all.into_iter().map(|(x, dims)| layer_norm_of(x, LayerNorm::last(dims))).collect()
    })
    .slopes(|| {
        let layers = [LayerNorm::last(2), LayerNorm::last(1).without_affine()];
        layers.into_iter().map(|layer| layer_norm_of(&[2, 3, 5], layer)).collect()
    })
    .conformance(&[("layer_norm", layer_norm)]);

fn layer_norm_of(x: &[usize], layer: LayerNorm) -> Case {
    let what = format!("x {x:?}, last {}", layer.dims);
    let build = move |graph: &mut Graph, x: &[Value]| train(graph).layer_norm("norm", x[0], layer);
    Case::differentiated("layer_norm", what, vec![x.to_vec()], build).tolerance(2e-5, 2e-6)
}

/// Weight and bias are multiplied and added as the case has them.
fn layer_norm(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let shape = given.attributes.list("normalized_shape")?;
    let eps = given.attributes.number("eps", Some(1e-5))? as f32;
    let x = given.operand("in.x")?;
    if !given.graph.shape(x).ends_with(&shape) {
        let rule = format!("these are not the last dimensions of {}", given.graph.shape(x));
        return Err(GraphError::attribute("normalized_shape", format!("{shape:?}"), rule).into());
    }
    let layer = LayerNorm::last(shape.len()).eps(eps).without_affine();
    let mut y = train(given.graph).layer_norm("norm", x, layer)?;
    if let Some(weight) = given.optional("param.weight") {
        y = given.graph.apply_one(Mul, &[y, weight])?;
    }
    if let Some(bias) = given.optional("param.bias") {
        y = given.graph.apply_one(Add, &[y, bias])?;
    }
    Ok(y)
}

static ATTENTION: Card = Card::new(Chapter::Softmax, &[])
    .cases(|| [vec![2, 3, 5, 8], vec![1, 1, 1, 1], vec![1, 12, 197, 64]].into_iter().map(attention_of).collect())
    .slopes(|| vec![attention_of(vec![1, 2, 3, 4])])
    .conformance(&[("scaled_dot_product_attention", |given| {
        let [q, k, v] = [given.operand("in.q")?, given.operand("in.k")?, given.operand("in.v")?];
        Ok(train(given.graph).scaled_dot_product_attention(q, k, v)?)
    })]);

fn attention_of(shape: Vec<usize>) -> Case {
    let what = format!("q, k and v {shape:?}");
    Case::differentiated("scaled_dot_product_attention", what, vec![shape; 3], |graph, x| {
        train(graph).scaled_dot_product_attention(x[0], x[1], x[2])
    })
}

static DROPOUT2D: Card = Card::new(Chapter::Normalisation, &[])
    .cases(|| {
        [&[8, 6, 7, 11][..], &[4, 8, 12]].into_iter().map(|x| dropout2d_of(x).prepare(dropout::seed_and_step)).collect()
    })
    .slopes(|| vec![dropout2d_of(&[2, 4, 3]).prepare(dropout::seed_and_step)])
    .conformance(&[("dropout2d", |given| {
        let p = given.attributes.number("p", Some(0.5))?;
        match given.train && p > 0.0 {
            false => given.operand("in.x"),
            true => {
                let what = "dropout that drops, whose random bits are PyTorch's own,".to_owned();
                Err(FixtureError::Unsupported { what })
            }
        }
    })]);

fn dropout2d_of(x: &[usize]) -> Case {
    let what = format!("channels of x {x:?}");
    Case::differentiated("dropout", what, vec![x.to_vec()], |graph, x| train(graph).dropout2d("drop", x[0], 0.5))
        .tolerance(1e-7, 0.0)
}

static INSTANCE_NORM: Card = Card::new(Chapter::Normalisation, &[])
    .cases(|| {
        let all: [(&[usize], bool); 4] =
            [(&[2, 3, 5, 7], true), (&[3, 4, 8, 8], false), (&[1, 1, 2], true), (&[2, 5, 4099], true)];
        all.into_iter().map(|(x, affine)| instance_norm_of(x, affine)).collect()
    })
    .slopes(|| vec![instance_norm_of(&[2, 2, 5], true)])
    .conformance(&[("instance_norm", instance_norm), ("instance_norm2d", instance_norm)]);

fn instance_norm_of(x: &[usize], affine: bool) -> Case {
    let what = format!("x {x:?}, affine {affine}");
    let build = move |graph: &mut Graph, x: &[Value]| train(graph).instance_norm("norm", x[0], affine);
    Case::differentiated("instance_norm", what, vec![x.to_vec()], build).tolerance(2e-5, 2e-6)
}

/// Of each image's own statistics; weight and bias as the case has them.
fn instance_norm(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let eps = given.attributes.number("eps", Some(1e-5))? as f32;
    let x = given.operand("in.x")?;
    let affine = match (given.optional("param.weight"), given.optional("param.bias")) {
        (Some(weight), Some(bias)) => Some([weight, bias]),
        _ => None,
    };
    if given.optional("buf.running_mean").is_some() {
        return Err(FixtureError::Unsupported { what: "instance norm with running statistics".to_owned() });
    }
    let groups = given.graph.shape(x).get(1).copied().unwrap_or(1);
    Ok(GroupNorm { groups, eps }.apply(given.graph, x, affine)?)
}

static STOCHASTIC_DEPTH: Card = Card::new(Chapter::Normalisation, &[])
    .cases(|| vec![stochastic_depth_of(&[32, 7, 11]).prepare(dropout::not_finite)])
    .slopes(|| vec![stochastic_depth_of(&[4, 7]).prepare(dropout::seed_and_step)]);

fn stochastic_depth_of(x: &[usize]) -> Case {
    let what = format!("stochastic depth of x {x:?}");
    Case::differentiated("dropout", what, vec![x.to_vec()], |graph, x| train(graph).stochastic_depth("drop", x[0], 0.5))
        .tolerance(1e-7, 0.0)
}
