//! The card of convolutions and linear layers.

use super::{Conv2d, Linear};
use crate::graph::{Graph, GraphError, Value};
use crate::ops::activation::merged;
use crate::ops::card::{Card, Case, Chapter, Entry, FOLDING, Fixture, FixtureError, INFINITY, NAN, NO_GRADIENT, set};
use crate::tensor::TensorSpec;

pub(crate) static CARD: Card = Card::new(Chapter::Convolution, &[
    Entry {
        name: "conv2d",
        computes: "y[n, k] = bias[k] + sum over c and taps of w[k, c, tap] * x[n, c, ...]; stride, padding, dilation, groups",
        shapes: "x [N, C, H, W], w [K, C/groups, kh, kw], bias [K] or absent; y [N, K, OH, OW] with OH = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1",
        gradient: "conv_input_gradient, and conv_weight_gradient with the bias's; channel_sum for a bias alone",
        shaders: &[
            "conv/plain_forward",
            "conv/depthwise",
            "conv/workgroup_tile",
            "conv/workgroup_loads",
            "conv/place",
            "conv/cooperative_tile",
            "conv/cooperative_units",
            "conv/cooperative_emulated",
            "conv/workgroup_forward",
            "conv/texture_tile",
            "conv/texture_forward",
            "conv/pack_pixels",
            "conv/pack_weights",
        ],
        flops: "2 N K OH OW (C/groups) kh kw",
    },
    Entry {
        name: "linear",
        computes: "y = x W^T + b over the last dimension; runs as a 1x1 convolution of 1x1 images",
        shapes: "x [..., in], w [out, in], bias [out] or absent; y [..., out]",
        gradient: "conv_input_gradient, and conv_weight_gradient with the bias's; channel_sum for a bias alone",
        shaders: &[
            "conv/plain_forward",
            "conv/workgroup_tile",
            "conv/workgroup_loads",
            "conv/place",
            "conv/cooperative_tile",
            "conv/cooperative_units",
            "conv/cooperative_emulated",
            "conv/workgroup_forward",
            "conv/texture_tile",
            "conv/texture_forward",
            "conv/pack_pixels",
            "conv/pack_weights",
        ],
        flops: "2 rows in out",
    },
    Entry {
        name: "conv_input_gradient",
        computes: "dx[n, c, i] = sum over k and taps of w[k, c, tap] * dy[n, k, o], for the outputs o that met input i",
        shapes: "dy as y of the layer, w; dx as x of the layer",
        gradient: NO_GRADIENT,
        shaders: &[
            "conv/plain_input_gradient",
            "conv/depthwise_input_gradient",
            "conv/workgroup_tile",
            "conv/workgroup_loads",
            "conv/place",
            "conv/cooperative_tile",
            "conv/cooperative_units",
            "conv/cooperative_emulated",
            "conv/workgroup_input_gradient",
            "conv/texture_tile",
            "conv/texture_input_gradient",
            "conv/pack_pixels",
            "conv/pack_weights",
            "reduce/sum_parts",
            "reduce/sum_parts_together",
        ],
        flops: "as the layer",
    },
    Entry {
        name: "conv_weight_gradient",
        computes: "dw[k, c, tap] = sum over n and outputs o of x[n, c, ...] * dy[n, k, o] and, where the bias is trained, db[k] = sum over n and o of dy[n, k, o]; parts of the sums run side by side and are added in a fixed order",
        shapes: "x and dy as of the layer; dw as w, db [K] or absent",
        gradient: NO_GRADIENT,
        shaders: &[
            "conv/plain_weight_gradient",
            "conv/depthwise_weight_gradient",
            "conv/depthwise_weight_gradient_together",
            "conv/workgroup_tile",
            "conv/workgroup_loads",
            "conv/place",
            "conv/cooperative_tile",
            "conv/cooperative_units",
            "conv/cooperative_emulated",
            "conv/workgroup_weight_gradient",
            "conv/texture_tile",
            "conv/texture_weight_gradient",
            "conv/pack_pixels",
            "reduce/channel_partial",
            "reduce/sum_parts",
            "reduce/sum_parts_together",
        ],
        flops: "as the layer",
    },
])
.cases(cases)
.slopes(slopes)
.conformance(&[
    ("conv2d", conv2d),
    ("linear", |given| given.apply(Linear, &["in.x", "param.weight", "param.bias"])),
]);

fn conv2d(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let conv = Conv2d {
        stride: given.attributes.pair("stride", Some([1, 1]))?,
        padding: given.attributes.pair("padding", Some([0, 0]))?,
        dilation: given.attributes.pair("dilation", Some([1, 1]))?,
        groups: given.attributes.count("groups", Some(1))?,
    };
    given.apply(conv, &["in.x", "param.weight", "param.bias"])
}

fn cases() -> Vec<Case> {
    [convolutions(), linear_layers(), activated(), equal_gradients(), infinite_gradients()]
        .into_iter()
        .flatten()
        .collect()
}

/// x, filters, kernel, attributes, and whether there is a bias.
type Convolution = ([usize; 4], usize, [usize; 2], Conv2d, bool);

fn convolutions() -> Vec<Case> {
    let plain = |stride, padding| Conv2d { stride: [stride; 2], padding: [padding; 2], ..Conv2d::default() };
    let grouped = |groups, stride, padding| Conv2d { groups, ..plain(stride, padding) };
    let mixed = Conv2d { stride: [2, 1], padding: [1, 3], dilation: [3, 2], groups: 1 };
    let all: Vec<Convolution> = vec![
        ([1, 1, 1, 1], 1, [1, 1], plain(1, 0), true),
        ([1, 3, 1, 1], 3, [3, 3], plain(1, 1), true),
        // LeNet's, ResNet's and AlexNet's first layers.
        ([2, 1, 28, 28], 6, [5, 5], plain(1, 2), true),
        ([1, 3, 33, 31], 8, [7, 7], plain(2, 3), false),
        ([1, 3, 55, 31], 9, [11, 11], plain(4, 2), true),
        ([1, 3, 55, 55], 7, [3, 3], plain(1, 1), true),
        // Primes, and one less and one more than a tile.
        ([3, 6, 14, 14], 16, [5, 5], plain(1, 0), true),
        ([2, 3, 17, 13], 7, [3, 3], plain(1, 1), true),
        ([2, 5, 11, 7], 17, [3, 3], plain(2, 1), true),
        ([5, 64, 4, 4], 33, [3, 3], plain(1, 1), true),
        ([2, 31, 7, 5], 63, [3, 3], plain(1, 1), true),
        ([2, 65, 5, 3], 31, [3, 3], plain(1, 1), false),
        // Pointwise.
        ([2, 16, 9, 9], 15, [1, 1], plain(1, 0), true),
        ([2, 17, 8, 8], 16, [1, 1], plain(2, 0), true),
        // Windows that leave a remainder, even kernels, more padding than the kernel reaches.
        ([2, 2, 19, 23], 5, [3, 7], plain(3, 2), true),
        ([1, 3, 8, 8], 4, [2, 2], plain(2, 0), true),
        ([2, 4, 12, 12], 8, [3, 3], plain(1, 3), false),
        // Dilation and unequal strides.
        ([2, 4, 20, 15], 6, [3, 3], mixed, true),
        ([2, 4, 20, 15], 6, [3, 3], Conv2d { groups: 2, ..mixed }, true),
        // Groups, down to depthwise.
        ([2, 32, 8, 8], 64, [3, 3], grouped(4, 2, 1), true),
        ([1, 64, 6, 6], 64, [3, 3], grouped(32, 1, 1), false),
        ([2, 24, 9, 7], 8, [3, 3], grouped(2, 1, 1), true),
        ([4, 64, 16, 16], 256, [3, 3], grouped(4, 1, 1), false),
        ([2, 6, 9, 9], 12, [3, 3], grouped(6, 1, 1), true),
        ([2, 13, 11, 7], 13, [5, 5], grouped(13, 2, 2), true),
        ([2, 3, 10, 17], 6, [3, 3], Conv2d { groups: 3, stride: [2, 3], padding: [2, 1], dilation: [1, 2] }, true),
        ([1, 2, 5, 40], 2, [3, 3], Conv2d { groups: 2, stride: [3, 19], padding: [1, 1], dilation: [1, 1] }, true),
        ([2, 5, 9, 8], 5, [3, 5], Conv2d { groups: 5, stride: [1, 2], padding: [0, 2], dilation: [2, 1] }, true),
        // Enough work for the larger tiles of each pass.
        ([4, 32, 16, 16], 64, [3, 3], plain(1, 1), true),
        ([2, 3, 128, 128], 128, [1, 1], plain(1, 0), false),
        ([2, 128, 128, 128], 3, [1, 1], plain(1, 0), false),
        ([1, 3, 128, 128], 64, [1, 1], plain(1, 0), false),
        ([1, 3, 128, 128], 32, [1, 1], plain(1, 0), false),
        (FOLDING, 1, [1, 1], plain(1, 0), true),
        // Reductions of more than 65,535 steps, where some drivers stop a loop.
        ([17, 4, 64, 64], 4, [3, 3], grouped(4, 1, 1), true),
    ];
    let case = |(x, filters, [kh, kw], conv, bias): Convolution| {
        let mut shapes = vec![x.to_vec(), vec![filters, x[1] / conv.groups, kh, kw]];
        shapes.extend(bias.then(|| vec![filters]));
        let what = format!("x {x:?} * {filters} filters of {kh}x{kw}, {conv:?}, bias {bias}");
        Case::differentiated("conv2d", what, shapes, move |graph, x| graph.apply_one(conv, x))
    };
    all.into_iter().map(case).collect()
}

fn linear_layers() -> Vec<Case> {
    let all: [(&[usize], usize); 9] = [
        (&[1, 1], 1),
        (&[64, 400], 120),
        (&[3, 5, 33], 17),
        (&[65, 129], 10),
        (&[63, 31], 63),
        (&[1, 2053], 3),
        (&[257, 3], 127),
        (&[3, 12_289], 5),
        (&[70_001, 3], 5),
    ];
    let case = |(x, outputs): (&[usize], usize)| {
        let shapes = vec![x.to_vec(), vec![outputs, x.last().copied().unwrap_or(1)], vec![outputs]];
        let what = format!("x {x:?} to {outputs}");
        Case::differentiated("linear", what, shapes, |graph, x| graph.apply_one(Linear, x))
    };
    all.into_iter().map(case).collect()
}

/// With activations in what the kernels store, NaN and infinities in what comes in, and one gradient alone.
fn activated() -> Vec<Case> {
    let padded = Conv2d { padding: [1, 1], ..Conv2d::default() };
    let strided = Conv2d { groups: 2, stride: [2, 2], ..Conv2d::default() };
    let depthwise = Conv2d { groups: 5, ..padded };
    let all = [
        (padded, vec![vec![3, 6, 11, 7], vec![17, 6, 3, 3], vec![17]]),
        (Conv2d::default(), vec![vec![2, 1, 13, 12], vec![5, 1, 5, 5]]),
        (strided, vec![vec![2, 8, 9, 7], vec![8, 4, 3, 3], vec![8]]),
        (depthwise, vec![vec![2, 5, 9, 7], vec![5, 1, 3, 3], vec![5]]),
    ];
    let of = |(conv, shapes): (Conv2d, Vec<Vec<usize>>)| {
        merged("conv2d", shapes, move |graph: &mut Graph, x: &[Value]| graph.apply_one(conv, x))
    };
    let mut cases: Vec<Case> = all.into_iter().flat_map(of).collect();
    let linear = vec![vec![33, 65], vec![17, 65], vec![17]];
    cases.extend(merged("linear", linear, |graph: &mut Graph, x: &[Value]| graph.apply_one(Linear, x)));
    cases.extend((1..=2).map(one_gradient));
    let shapes = vec![vec![4, 32, 16, 16], vec![64, 32, 3, 3]];
    let large = Case::differentiated("conv2d", "x [4, 32, 16, 16] with NaN", shapes, move |graph, x| {
        graph.apply_one(padded, x)
    });
    cases.push(large.prepare(|tensors| set(tensors, "x0", &[(5000, NAN)])));
    cases.extend(beyond_windows());
    cases
}

/// Few channels, and in the image an infinity and a NaN, which only the windows that hold them may see: kernels read
/// such images four neighbours at a time, and so beyond windows that end in between.
fn beyond_windows() -> impl Iterator<Item = Case> {
    [(1, 5), (2, 3), (1, 6), (2, 2)].into_iter().map(|(channels, width)| {
        let shapes = vec![vec![2, channels, 9, 14], vec![5, channels, 3, width], vec![5]];
        let what = format!("x [2, {channels}, 9, 14] with infinities, kernel 3x{width}");
        let padded = Conv2d { padding: [1, 1], ..Conv2d::default() };
        let case = Case::differentiated("conv2d", what, shapes, move |graph, x| graph.apply_one(padded, x));
        case.prepare(|tensors| set(tensors, "x0", &[(35, INFINITY), (93, -INFINITY), (160, NAN)]))
    })
}

/// The gradient of a convolution's weight alone, or of its bias.
fn one_gradient(wanted: usize) -> Case {
    let what = format!("x [3, 6, 11, 7], gradient of the {} alone", ["x", "weight", "bias"][wanted]);
    let build = move |graph: &mut Graph| {
        let mut input = |name: &str, shape: &[usize]| graph.input(name, TensorSpec::f32(shape));
        let inputs = [input("x0", &[3, 6, 11, 7])?, input("x1", &[17, 6, 3, 3])?, input("x2", &[17])?];
        Ok((graph.apply_one(Conv2d::default(), &inputs)?, vec![inputs[wanted]]))
    };
    Case::of_gradient("conv2d", what, build).tolerance(2e-5, 2e-6)
}

/// A convolution or linear layer, shapes of its inputs, and itself.
type Layer = (&'static str, Vec<Vec<usize>>, fn(&mut Graph, &[Value]) -> Result<Value, GraphError>);

/// The sum of equal upstream gradients. The input is zero, and with it the gradient of the weight, which is a
/// product and not compensated.
fn equal_gradients() -> Vec<Case> {
    let all: [Layer; 4] = [
        ("conv2d", vec![vec![64, 2, 64, 33], vec![3, 2, 1, 1], vec![3]], |graph, x| {
            graph.apply_one(Conv2d::default(), x)
        }),
        ("conv2d", vec![vec![16, 3, 64, 33], vec![3, 1, 3, 3], vec![3]], |graph, x| {
            graph.apply_one(Conv2d { groups: 3, padding: [1, 1], ..Conv2d::default() }, x)
        }),
        ("conv2d", vec![vec![16, 8, 33, 32], vec![24, 4, 3, 3], vec![24]], |graph, x| {
            graph.apply_one(Conv2d { groups: 2, padding: [1, 1], ..Conv2d::default() }, x)
        }),
        ("linear", vec![vec![60_000, 3], vec![5, 3], vec![5]], |graph, x| graph.apply_one(Linear, x)),
    ];
    let case = |(op, shapes, build): Layer| {
        let what = format!("x {:?}, equal gradients", shapes[0]);
        Case::differentiated(op, what, shapes, build)
            .prepare(|tensors| {
                for (name, value) in [("x0", 0.0), ("dout", 0.1)] {
                    if let Some(tensor) = tensors.get_mut(name) {
                        tensor.f32_mut().fill(value);
                    }
                }
            })
            .tolerance(1e-6, 0.0)
    };
    all.into_iter().map(case).collect()
}

/// What comes back has infinities, in one sum of one sign and in the next of both. No weight is 0, no window leaves
/// the image, and the channels fill fours, so that no product with 0 stands beside them.
fn infinite_gradients() -> Vec<Case> {
    let all: [Layer; 3] = [
        ("conv2d", vec![vec![4, 8, 16, 16], vec![8, 8, 1, 1], vec![8]], |graph, x| {
            graph.apply_one(Conv2d::default(), x)
        }),
        ("conv2d", vec![vec![4, 8, 16, 16], vec![8, 1, 1, 1], vec![8]], |graph, x| {
            graph.apply_one(Conv2d { groups: 8, ..Conv2d::default() }, x)
        }),
        ("linear", vec![vec![256, 16], vec![32, 16], vec![32]], |graph, x| graph.apply_one(Linear, x)),
    ];
    let case = |(op, shapes, build): Layer| {
        let what = format!("x {:?}, gradients with infinities", shapes[0]);
        let case = Case::differentiated(op, what, shapes, build);
        case.prepare(|tensors| set(tensors, "dout", &[(0, INFINITY), (257, INFINITY), (2305, -INFINITY)]))
            .tolerance(2e-5, 2e-6)
    };
    all.into_iter().map(case).collect()
}

fn slopes() -> Vec<Case> {
    let uneven = Conv2d { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 1 };
    let grouped = Conv2d { groups: 2, padding: [1, 1], stride: [2, 2], ..Conv2d::default() };
    let depthwise = Conv2d { groups: 3, padding: [1, 1], ..Conv2d::default() };
    let all = [
        ("uneven", uneven, vec![vec![2, 2, 5, 6], vec![3, 2, 3, 2], vec![3]]),
        ("grouped", grouped, vec![vec![1, 4, 4, 3], vec![6, 2, 3, 3], vec![6]]),
        ("depthwise", depthwise, vec![vec![2, 3, 4, 4], vec![6, 1, 3, 3]]),
    ];
    let conv = |(what, conv, shapes): (&str, Conv2d, Vec<Vec<usize>>)| {
        Case::differentiated("conv2d", what, shapes, move |graph, x| graph.apply_one(conv, x))
    };
    let shapes = vec![vec![2, 3, 5], vec![4, 5], vec![4]];
    let linear = Case::differentiated("linear", "of three dimensions", shapes, |graph, x| graph.apply_one(Linear, x));
    all.into_iter().map(conv).chain([linear]).collect()
}
