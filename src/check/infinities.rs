//! What is not finite where elements are dropped, and infinities in every sum.
//!
//! A sum with an infinity is infinite, one with infinities of both signs NaN, and what is dropped is multiplied by 0:
//! an infinity or NaN is NaN then, as in PyTorch.

use super::case::{Case, add_gradients, differentiated, several};
use super::cases::{plausible_state, seed_and_step, update};
use super::edges::set;
use crate::graph::{Graph, GraphError, Value};
use crate::nn::{Mode, Scope};
use crate::ops::{AdaptiveAvgPool2d, Add, ChannelSum, Conv2d, Linear, Loss};
use crate::optim::{GradientTransform, Optimizer, Sgd, UpdateConfig};
use crate::reference::Tensors;
use crate::tensor::TensorSpec;

const INFINITY: f32 = f32::INFINITY;

/// An op on its inputs.
type Build = fn(&mut Graph, &[Value]) -> Result<Value, GraphError>;

/// What is done to a case's tensors, and how it is called.
type Prepared = (&'static str, fn(&mut Tensors));

pub(super) fn infinities() -> Vec<Case> {
    [dropouts(), batch_norms(), sums(), bias_gradients(), rows(), clipped()].into_iter().flatten().collect()
}

/// Elements that are dropped and elements that are kept, in what comes in and in what comes back.
fn dropouts() -> Vec<Case> {
    let all: [(&str, Build); 2] = [
        ("dropout", |graph, x| Scope::new(graph, Mode::Train).dropout("drop", x[0], 0.5)),
        ("stochastic depth", |graph, x| Scope::new(graph, Mode::Train).stochastic_depth("drop", x[0], 0.5)),
    ];
    let case = |(kind, build): (&str, Build)| {
        let what = format!("{kind} of x [32, 7, 11] with NaN and infinities");
        several("dropout", &what, &[vec![32, 7, 11]], build)
            .prepare(|tensors| {
                seed_and_step(tensors);
                for (name, first) in [("x0", 0), ("dout", 35)] {
                    let special = (first..2464).step_by(77).zip([f32::NAN, INFINITY, -INFINITY, -f32::NAN].repeat(8));
                    set(tensors, name, &special.collect::<Vec<_>>());
                }
            })
            .tolerance(1e-7, 0.0)
    };
    all.into_iter().map(case).collect()
}

/// Where an invocation that takes every seventh element of a channel meets an infinity.
fn batch_norms() -> Vec<Case> {
    let places: [Prepared; 4] = [
        ("an infinity", |tensors| infinite(tensors, &[(9, INFINITY)])),
        ("an infinity first and last", |tensors| infinite(tensors, &[(0, -INFINITY), (357, -INFINITY)])),
        ("infinities of both signs", |tensors| infinite(tensors, &[(9, INFINITY), (120, -INFINITY)])),
        ("a channel of infinities", |tensors| {
            let plane = |image: usize| (112 * image..112 * image + 28).map(|index| (index, INFINITY));
            infinite(tensors, &(0..4).flat_map(plane).collect::<Vec<_>>());
        }),
    ];
    let mut cases = Vec::new();
    for (which, prepare) in places {
        for mode in [Mode::Train, Mode::Eval] {
            let build = move |graph: &mut Graph| {
                differentiated(graph, &[vec![4, 4, 7, 4]], |graph, x| Scope::new(graph, mode).batch_norm("bn", x[0]))
            };
            let case = Case::new("batch_norm", format!("x [4, 4, 7, 4] with {which}, {mode:?}"), build);
            cases.push(case.prepare(prepare).tolerance(2e-5, 2e-6));
        }
    }
    cases
}

/// Sets elements of x, and makes variances of what is random.
fn infinite(tensors: &mut Tensors, elements: &[(usize, f32)]) {
    set(tensors, "x0", elements);
    if let Some(variance) = tensors.get_mut("bn.running_var") {
        variance.f32_mut().iter_mut().for_each(|value| *value = value.abs() + 0.5);
    }
}

/// Row 0, image 0 or channel 0 has one infinity, the next infinities of both signs, the last none.
fn sums() -> Vec<Case> {
    let rows: fn(&mut Tensors) = |tensors| set(tensors, "x0", &[(40, INFINITY), (5020, INFINITY), (9000, -INFINITY)]);
    let planes: fn(&mut Tensors) = |tensors| set(tensors, "x0", &[(40, -INFINITY), (260, INFINITY), (1030, -INFINITY)]);
    let mean = several("mean", "rows with infinities", &[vec![3, 5000]], |graph, x| {
        Scope::new(graph, Mode::Eval).mean(x[0], &[1], false)
    });
    let pool = several("adaptive_avg_pool2d", "planes with infinities", &[vec![1, 3, 50, 100]], |graph, x| {
        graph.apply_one(AdaptiveAvgPool2d { output_size: [1, 1] }, x)
    });
    let channels = several("mean", "channels with infinities", &[vec![4, 3, 16, 16]], |graph, x| {
        Scope::new(graph, Mode::Eval).mean(x[0], &[0, 2, 3], false)
    });
    let bias = Case::new("add", "sums of channels with infinities", |graph| {
        let x = graph.input("x0", TensorSpec::f32([4, 3, 256]))?;
        let y = graph.apply_one(ChannelSum { outer: 4, channels: 3, inner: 256 }, &[x])?;
        graph.output("y", y);
        Ok(())
    });
    let broadcast =
        several("add", "broadcast, gradients with infinities", &[vec![4, 3, 256], vec![3, 1]], |graph, x| {
            graph.apply_one(Add, x)
        });
    let upstream: fn(&mut Tensors) =
        |tensors| set(tensors, "dout", &[(40, -INFINITY), (260, INFINITY), (1030, -INFINITY)]);
    vec![
        mean.prepare(rows),
        pool.prepare(rows),
        channels.prepare(planes),
        bias.prepare(planes),
        broadcast.prepare(upstream),
    ]
}

/// What comes back has infinities, in one sum of one sign and in the next of both. No weight is 0, no window leaves
/// the image, and the channels fill fours, so that no product with 0 stands beside them.
fn bias_gradients() -> Vec<Case> {
    let all: [(&'static str, Vec<Vec<usize>>, Build); 3] = [
        ("conv2d", vec![vec![4, 8, 16, 16], vec![8, 8, 1, 1], vec![8]], |graph, x| {
            graph.apply_one(Conv2d::default(), x)
        }),
        ("conv2d", vec![vec![4, 8, 16, 16], vec![8, 1, 1, 1], vec![8]], |graph, x| {
            graph.apply_one(Conv2d { groups: 8, ..Conv2d::default() }, x)
        }),
        ("linear", vec![vec![256, 16], vec![32, 16], vec![32]], |graph, x| graph.apply_one(Linear, x)),
    ];
    let case = |(op, shapes, build): (&'static str, Vec<Vec<usize>>, Build)| {
        let what = format!("x {:?}, gradients with infinities", shapes[0]);
        let case = Case::differentiated(op, what, shapes, build);
        case.prepare(|tensors| set(tensors, "dout", &[(0, INFINITY), (257, INFINITY), (2305, -INFINITY)]))
            .tolerance(2e-5, 2e-6)
    };
    all.into_iter().map(case).collect()
}

/// Losses of rows whose logits are infinite.
fn rows() -> Vec<Case> {
    let case = |loss: Loss| {
        let build = move |graph: &mut Graph| {
            let logits = graph.input("logits", TensorSpec::f32([300, 4]))?;
            let target = graph.input("target", TensorSpec::u32([300]))?;
            let outputs = graph.apply(loss, &[logits, target])?;
            add_gradients(graph, outputs[0], &[logits])
        };
        let what = format!("{} of 300 rows, one with an infinity", loss.function());
        Case::new(loss.function(), what, build).classes(4).prepare(|tensors| {
            set(tensors, "logits", &[(150, INFINITY)]);
        })
    };
    [Loss::Mse, Loss::Nll].into_iter().map(case).collect()
}

/// The norm of gradients one of which is infinite is infinite: that one becomes NaN, and all others 0.
fn clipped() -> Vec<Case> {
    let build = |graph: &mut Graph| {
        let optimizer = Optimizer::new(&Sgd);
        let transform = GradientTransform { clip_grad_norm: Some(1.5), ..GradientTransform::default() };
        update(graph, UpdateConfig { transform, ..UpdateConfig::new(optimizer) })
    };
    let case = Case::new("optimizer", "gradients with infinities, clipped by their norm", build);
    let infinite: fn(&mut Tensors) = |tensors| {
        plausible_state(tensors);
        set(tensors, "gradient of a", &[(3, INFINITY), (400, -INFINITY)]);
    };
    vec![case.prepare(infinite).tolerance(2e-6, 1e-7)]
}
