//! Random shapes and attributes: in every variant of its kernels, an op on the device agrees with the CPU
//! reference, with its gradients, twice with the same bits. A case that fails is made smaller, told, and
//! kept in tests/needs/properties.proptest-regressions, which every later run tries first.
//!
//! `PROPTEST_CASES=1000 cargo test --release --test needs properties` looks harder.

use crate::need::trials;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestCaseError};
use std::sync::OnceLock;
use tilewright::check::{Case, Variant, add_gradients, sweep};
use tilewright::gpu::{DeviceOptions, DeviceSelector, Gpu};
use tilewright::graph::Init;
use tilewright::nn::{BatchNorm, LayerNorm, Mode, Scope};
use tilewright::ops::{
    AdaptiveAvgPool2d, Add, AvgPool2d, Conv2d, CrossEntropy, GroupNorm, IGNORED_TARGET, Linear, LocalResponseNorm,
    Loss, MatMul, MaxPool2d, Mul, Softmax,
};
use tilewright::reference::Tensors;
use tilewright::tensor::TensorSpec;

trials! {
    Adapter:
        every_convolution_agrees_in_all_three_passes,
        every_linear_layer_agrees_in_all_three_passes,
        every_max_pool_agrees,
        every_average_pool_agrees,
        every_adaptive_pool_agrees,
        every_batch_norm_agrees,
        every_group_norm_agrees,
        every_layer_norm_agrees,
        every_local_response_norm_agrees,
        every_softmax_agrees,
        every_loss_agrees,
        every_broadcast_sum_and_product_agrees,
        every_mean_agrees,
        every_matrix_product_agrees;
}

/// `cases` random cases, or as many as `PROPTEST_CASES` says.
fn config(cases: u32) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config.failure_persistence = Some(Box::new(FileFailurePersistence::WithSource("proptest-regressions")));
    // A step of making a case smaller compiles its kernels anew.
    config.max_shrink_iters = 200;
    config
}

fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| Gpu::open(&DeviceSelector::Auto, DeviceOptions::default()).unwrap())
}

/// Holds the case against the reference in every variant.
fn agrees(case: Case) -> Result<(), TestCaseError> {
    let mut failures = Vec::new();
    let mut ran = 0;
    sweep(gpu(), &Variant::EXACT, std::slice::from_ref(&case), |verdict| {
        ran += 1;
        if let Err(failure) = verdict.result {
            failures.push(format!("{}, {}: {failure}", verdict.variant, case.what));
        }
    });
    prop_assert!(ran > 0 && failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

fn pair(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

/// The least size that a window of `kernel` fits into.
fn fits(kernel: usize, padding: usize, dilation: usize) -> usize {
    (dilation * (kernel - 1) + 1).saturating_sub(2 * padding).max(1)
}

/// x, filters, kernel, attributes, and whether there is a bias.
fn convolution() -> impl Strategy<Value = ([usize; 4], usize, [usize; 2], Conv2d, bool)> {
    let channels = (1..=4usize, 1..=9usize, 1..=9usize);
    let window = (pair(1..=5), pair(1..=3), pair(0..=4), pair(1..=3));
    (channels, window, pair(0..=18), 1..=3usize, any::<bool>()).prop_map(|(channels, window, room, batch, bias)| {
        let (groups, inputs, filters) = channels;
        let (kernel, stride, padding, dilation) = window;
        let size = |axis: usize| fits(kernel[axis], padding[axis], dilation[axis]) + room[axis];
        let x = [batch, groups * inputs, size(0), size(1)];
        (x, groups * filters, kernel, Conv2d { stride, padding, dilation, groups }, bias)
    })
}

/// x, kernel, stride, padding, dilation and rounding up of a pool.
type Pool = ([usize; 4], [usize; 2], [usize; 2], [usize; 2], [usize; 2], bool);

fn pool(dilations: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Pool> {
    let window = (pair(1..=4), pair(1..=5), pair(0..=2), pair(dilations));
    (window, pair(0..=14), pair(1..=4), any::<bool>()).prop_map(|(window, room, outer, ceil)| {
        let (kernel, stride, padding, dilation) = window;
        // Half of the kernel: of a dilated window that reaches further out, no tap may be inside.
        let padding: [usize; 2] = std::array::from_fn(|axis| padding[axis].min(kernel[axis] / 2));
        // No padding is taken off: every window then holds an element of the image.
        let size = |axis: usize| fits(kernel[axis], 0, dilation[axis]) + room[axis];
        ([outer[0], outer[1], size(0), size(1)], kernel, stride, padding, dilation, ceil)
    })
}

/// Two shapes that broadcast to one of up to five dimensions.
fn broadcast() -> impl Strategy<Value = [Vec<usize>; 2]> {
    let dimension = (1..=6usize, any::<[bool; 2]>());
    (prop::collection::vec(dimension, 1..=5), 0..=4usize, any::<bool>()).prop_map(|(dimensions, cut, swap)| {
        let of = |side: usize| -> Vec<usize> {
            dimensions.iter().map(|(size, repeated)| if repeated[side] { 1 } else { *size }).collect()
        };
        let (a, b) = (of(0), of(1));
        let b = b[cut.min(b.len() - 1)..].to_vec();
        if swap { [b, a] } else { [a, b] }
    })
}

fn times_eight(tensors: &mut Tensors) {
    for name in ["x0", "logits"] {
        if let Some(values) = tensors.get_mut(name) {
            values.f32_mut().iter_mut().for_each(|value| *value *= 8.0);
        }
    }
}

fn loss_case(rows: usize, classes: usize, ignore: bool, build: LossKind) -> Case {
    let case = Case::new("loss", format!("{rows} rows of {classes}, {build:?}, ignore {ignore}"), move |graph| {
        let logits = graph.input("logits", TensorSpec::f32([rows, classes]))?;
        let target = graph.input("target", TensorSpec::u32([rows]))?;
        let loss = match build {
            LossKind::CrossEntropy(label_smoothing) => {
                graph.apply(CrossEntropy::smoothed(label_smoothing), &[logits, target])?[0]
            }
            LossKind::Other(loss) => graph.apply(loss, &[logits, target])?[0],
        };
        add_gradients(graph, loss, &[logits])
    });
    let prepare: fn(&mut Tensors) = match ignore && rows > 1 {
        true => |tensors: &mut Tensors| {
            times_eight(tensors);
            tensors.get_mut("target").unwrap().u32_mut()[0] = IGNORED_TARGET;
        },
        false => times_eight,
    };
    case.classes(classes).prepare(prepare)
}

#[derive(Clone, Copy, Debug)]
enum LossKind {
    CrossEntropy(f32),
    Other(Loss),
}

fn loss() -> impl Strategy<Value = LossKind> {
    prop_oneof![
        (0.0..1.0f32).prop_map(LossKind::CrossEntropy),
        (0.1..2.0f32, prop::sample::select(vec![0.0, 1.0, 2.0, 3.5]))
            .prop_map(|(alpha, gamma)| LossKind::Other(Loss::Focal { alpha, gamma })),
        prop::sample::select(vec![Loss::Mse, Loss::MseSoftmax, Loss::NLL]).prop_map(LossKind::Other),
    ]
}

proptest! {
    #![proptest_config(config(16))]

    fn every_convolution_agrees_in_all_three_passes((x, filters, kernel, conv, bias) in convolution()) {
        let mut shapes = vec![x.to_vec(), vec![filters, x[1] / conv.groups, kernel[0], kernel[1]]];
        shapes.extend(bias.then(|| vec![filters]));
        let what = format!("{shapes:?}, {conv:?}");
        agrees(Case::differentiated("conv2d", what, shapes, move |graph, x| graph.apply_one(conv, x)))?;
    }

    fn every_linear_layer_agrees_in_all_three_passes(
        rows in prop::collection::vec(1..=9usize, 0..=3), [inputs, outputs] in pair(1..=70), bias in any::<bool>(),
    ) {
        let mut shapes = vec![[&rows[..], &[inputs]].concat(), vec![outputs, inputs]];
        shapes.extend(bias.then(|| vec![outputs]));
        agrees(Case::differentiated("linear", format!("{shapes:?}"), shapes, |graph, x| graph.apply_one(Linear, x)))?;
    }

    fn every_max_pool_agrees((x, kernel, stride, padding, dilation, ceil_mode) in pool(1..=3)) {
        let pool = MaxPool2d { kernel, stride, padding, dilation, ceil_mode };
        let what = format!("{x:?}, {pool:?}");
        agrees(Case::differentiated("max_pool2d", what, vec![x.to_vec()], move |graph, x| graph.apply_one(pool, x)))?;
    }

    fn every_average_pool_agrees(
        (x, kernel, stride, padding, _, ceil_mode) in pool(1..=1), count_include_pad in any::<bool>(),
    ) {
        let pool = AvgPool2d { kernel, stride, padding, ceil_mode, count_include_pad };
        let what = format!("{x:?}, {pool:?}");
        agrees(Case::differentiated("avg_pool2d", what, vec![x.to_vec()], move |graph, x| graph.apply_one(pool, x)))?;
    }

    fn every_adaptive_pool_agrees(outer in pair(1..=4), size in pair(1..=20), output_size in pair(1..=9)) {
        let pool = AdaptiveAvgPool2d { output_size };
        let x = vec![outer[0], outer[1], size[0], size[1]];
        let what = format!("{x:?}, {pool:?}");
        agrees(Case::differentiated("adaptive_avg_pool2d", what, vec![x], move |graph, x| graph.apply_one(pool, x)))?;
    }

    fn every_batch_norm_agrees(
        batch in 2..=9usize, channels in 1..=70usize, size in pair(1..=12), flat in any::<bool>(),
        eps in 0.01..0.1f32, momentum in 0.0..1.0f32,
    ) {
        let shape = match flat {
            true => vec![batch, channels],
            false => vec![batch, channels, size[0], size[1]],
        };
        let layer = BatchNorm { eps, momentum, ..BatchNorm::default() };
        for mode in [Mode::Train, Mode::Eval] {
            let what = format!("{shape:?}, {layer:?}, {mode:?}");
            let case = Case::differentiated("batch_norm", what, vec![shape.clone()], move |graph, x| {
                Scope::new(graph, mode).batch_norm_with("bn", x[0], layer)
            });
            agrees(case.tolerance(2e-5, 2e-6).prepare(|tensors| {
                let variance = tensors.get_mut("bn.running_var").unwrap();
                variance.f32_mut().iter_mut().for_each(|variance| *variance = variance.abs() + 0.5);
            }))?;
        }
    }

    fn every_group_norm_agrees(
        batch in 1..=9usize, groups in 1..=9usize, each in 1..=9usize, size in pair(2..=12), affine in any::<bool>(),
    ) {
        let norm = GroupNorm { groups, eps: 0.01 };
        let shape = vec![batch, groups * each, size[0], size[1]];
        let what = format!("{shape:?}, {norm:?}, affine {affine}");
        let case = Case::differentiated("group_norm", what, vec![shape], move |graph, x| {
            let channels = graph.shape(x[0])[1];
            let affine = match affine {
                true => Some([
                    graph.parameter("weight", [channels], Init::ONES)?,
                    graph.parameter("bias", [channels], Init::ZEROS)?,
                ]),
                false => None,
            };
            norm.apply(graph, x[0], affine)
        });
        agrees(case.tolerance(2e-5, 2e-6))?;
    }

    fn every_layer_norm_agrees(shape in prop::collection::vec(2..=9usize, 1..=4), dims in 1..=3usize) {
        let layer = LayerNorm::last(dims.min(shape.len())).eps(0.01);
        let what = format!("{shape:?}, last {dims}");
        let case = Case::differentiated("layer_norm", what, vec![shape], move |graph, x| {
            Scope::new(graph, Mode::Train).layer_norm("norm", x[0], layer)
        });
        agrees(case.tolerance(2e-5, 2e-6))?;
    }

    fn every_local_response_norm_agrees(
        shape in [1..=3usize, 1..=20, 1..=6, 1..=6], size in 1..=11usize,
        alpha in 0.0..1.0f32, beta in 0.1..1.5f32, k in 0.5..3.0f32,
    ) {
        let norm = LocalResponseNorm { size, alpha, beta, k };
        let what = format!("{shape:?}, {norm:?}");
        let shapes = vec![shape.to_vec()];
        agrees(Case::differentiated("local_response_norm", what, shapes, move |graph, x| graph.apply_one(norm, x)))?;
    }

    fn every_softmax_agrees(
        shape in prop::collection::vec(1..=12usize, 1..=4), dim in 0..=3usize, log in any::<bool>(),
    ) {
        let dim = dim.min(shape.len() - 1);
        let what = format!("{shape:?}, dim {dim}, log {log}");
        let case = Case::differentiated("softmax", what, vec![shape], move |graph, x| {
            graph.apply_one(Softmax { dim, log }, x)
        });
        agrees(case.prepare(times_eight))?;
    }

    fn every_loss_agrees(
        rows in 1..=70usize, classes in 2..=70usize, ignore in any::<bool>(), kind in loss(),
    ) {
        agrees(loss_case(rows, classes, ignore, kind))?;
    }

    fn every_broadcast_sum_and_product_agrees(shapes in broadcast(), mul in any::<bool>()) {
        let what = format!("{shapes:?}, mul {mul}");
        let case = Case::differentiated("add or mul", what, shapes.to_vec(), move |graph, x| match mul {
            true => graph.apply_one(Mul, x),
            false => graph.apply_one(Add, x),
        });
        agrees(case)?;
    }

    fn every_mean_agrees(
        shape in prop::collection::vec(1..=6usize, 1..=6), chosen in any::<[bool; 6]>(), keepdim in any::<bool>(),
    ) {
        let dims: Vec<usize> = (0..shape.len()).filter(|&dim| chosen[dim]).collect();
        let what = format!("{shape:?}, {dims:?}");
        let case = Case::differentiated("mean", what, vec![shape], move |graph, x| {
            Scope::new(graph, Mode::Train).mean(x[0], &dims, keepdim)
        });
        agrees(case)?;
    }

    fn every_matrix_product_agrees(
        outer in prop::collection::vec(1..=3usize, 0..=2), [m, k] in pair(1..=40), n in 1..=40usize,
        [transpose_a, transpose_b] in any::<[bool; 2]>(),
    ) {
        let matrix = |rows, columns, transposed: bool| {
            let sizes = if transposed { [columns, rows] } else { [rows, columns] };
            [&outer[..], &sizes].concat()
        };
        let shapes = vec![matrix(m, k, transpose_a), matrix(k, n, transpose_b)];
        let product = MatMul { transpose_a, transpose_b };
        let what = format!("{shapes:?}, {product:?}");
        agrees(Case::differentiated("matmul", what, shapes, move |graph, x| graph.apply_one(product, x)))?;
    }
}
