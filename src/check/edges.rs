//! NaN, infinities, and numbers at the edge of f32, in every op that compares, cuts off, or adds up.
//!
//! A driver may take every float for a finite number, and fold away what tells NaN from others: such a one fails here.

use super::case::{ACTIVATIONS, Case, add_gradients, differentiated, several};
use super::cases::{optimizer, plausible_state, update};
use super::epilogues::before;
use crate::graph::{Graph, GraphError, Value};
use crate::nn::{Mode, Scope};
use crate::ops::{
    Activation, AdaptiveAvgPool2d, AvgPool2d, ChannelSum, Conv2d, CountCorrect, CrossEntropy, Linear,
    LocalResponseNorm, Loss, MaxPool2d, Softmax,
};
use crate::optim::{GradientTransform, Optimizer, UpdateConfig};
use crate::reference::Tensors;
use crate::tensor::{HostTensor, TensorSpec};

const INFINITY: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;

/// An op on its inputs.
type Build = fn(&mut Graph, &[Value]) -> Result<Value, GraphError>;

pub(super) fn edges() -> Vec<Case> {
    let parts = [
        activations(),
        after_kernels(),
        pools(),
        softmaxes(),
        losses(),
        norms(),
        far_batch_norms(),
        sums(),
        bias_gradients(),
        optimizers(),
    ];
    parts.into_iter().flatten().collect()
}

/// Sets elements of a tensor, where there is one of that name.
pub(super) fn set(tensors: &mut Tensors, name: &str, elements: &[(usize, f32)]) {
    if let Some(HostTensor::F32(values)) = tensors.get_mut(name) {
        for &(index, value) in elements {
            values[index] = value;
        }
    }
}

/// NaN of both signs, infinities, and upstream gradients that are neither finite, where x is cut off and where not.
fn activations() -> Vec<Case> {
    let case = |activation: Activation| {
        let what = "x [3, 7, 11] with NaN and infinities";
        several(activation.function(), what, &[vec![3, 7, 11]], move |graph, x| graph.apply_one(activation, x)).prepare(
            |tensors| {
                set(tensors, "x0", &[(0, NAN), (17, -NAN), (30, INFINITY), (45, -INFINITY), (100, NAN)]);
                set(tensors, "x0", &[(60, -5.0), (61, -5.0), (62, 0.5), (63, 0.5)]);
                set(tensors, "dout", &[(60, INFINITY), (61, NAN), (62, -INFINITY), (63, NAN)]);
            },
        )
    };
    ACTIVATIONS.into_iter().map(case).collect()
}

/// Every activation in the store of every kernel that takes one.
fn after_kernels() -> Vec<Case> {
    let mut cases = Vec::new();
    for (op, shapes, build) in before() {
        for activation in ACTIVATIONS {
            let what = format!("x {:?} with NaN, then {}", shapes[0], activation.function());
            let case = Case::differentiated(op, what, shapes.clone(), move |graph, x| {
                let y = build(graph, x)?;
                graph.apply_one(activation, &[y])
            });
            cases.push(case.prepare(|tensors| set(tensors, "x0", &[(5, NAN), (40, -NAN)])).tolerance(2e-5, 2e-6));
        }
        let what = format!("x {:?} with an infinity", shapes[0]);
        let case = Case::differentiated(op, what, shapes.clone(), build).tolerance(2e-5, 2e-6);
        // Not further right: a row of few channels is packed in fours, and what lies beyond a window of five meets weights
        // of 0, so that beside an infinity up to three more results are NaN on CPU adapters.
        cases.push(case.prepare(|tensors| set(tensors, "x0", &[(3, INFINITY)])));
    }
    let large =
        several("conv2d", "x [4, 32, 16, 16] with NaN", &[vec![4, 32, 16, 16], vec![64, 32, 3, 3]], |graph, x| {
            graph.apply_one(Conv2d { padding: [1, 1], ..Conv2d::default() }, x)
        });
    cases.push(large.prepare(|tensors| set(tensors, "x0", &[(5000, NAN)])));
    cases
}

fn pools() -> Vec<Case> {
    let shape = vec![2, 3, 13, 11];
    let special: fn(&mut Tensors) = |tensors| {
        set(tensors, "x0", &[(0, NAN), (13, -NAN), (14, NAN), (40, INFINITY), (55, -INFINITY), (142, NAN), (857, NAN)]);
    };
    let nothing: fn(&mut Tensors) = |tensors| {
        if let Some(x) = tensors.get_mut("x0") {
            x.f32_mut().fill(-INFINITY);
        }
        set(tensors, "x0", &[(70, NAN), (200, -f32::MAX)]);
    };
    let mut cases = Vec::new();
    for pool in [
        MaxPool2d::square(2),
        MaxPool2d::square(3).stride(2).padding(1),
        MaxPool2d::square(3).stride(1).padding(2).dilation(2),
        MaxPool2d::square(3).stride(2).ceil_mode(),
    ] {
        for (which, prepare) in [("NaN and infinities", special), ("-infinity in all but two", nothing)] {
            let what = format!("x {shape:?} with {which}, {pool:?}");
            let shapes = std::slice::from_ref(&shape);
            let case = several("max_pool2d", &what, shapes, move |graph, x| graph.apply_one(pool, x));
            cases.push(case.prepare(prepare));
        }
    }
    let average = AvgPool2d::square(3).stride(2).padding(1);
    let what = format!("x {shape:?} with NaN and infinities");
    cases.push(
        several("avg_pool2d", &what, std::slice::from_ref(&shape), move |graph, x| graph.apply_one(average, x))
            .prepare(special),
    );
    cases.push(
        several("adaptive_avg_pool2d", &what, &[shape], |graph, x| {
            graph.apply_one(AdaptiveAvgPool2d { output_size: [5, 4] }, x)
        })
        .prepare(special),
    );
    cases
}

/// Rows with NaN, with an infinity, of which a class is masked by -infinity, and all are.
fn softmaxes() -> Vec<Case> {
    let case = |(op, log): (&'static str, bool)| {
        several(op, "x [7, 10] with NaN and infinities", &[vec![7, 10]], move |graph, x| {
            graph.apply_one(Softmax { dim: 1, log }, x)
        })
        .prepare(|tensors| {
            set(tensors, "x0", &[(0, NAN), (15, -NAN), (23, INFINITY), (31, -INFINITY), (38, -INFINITY), (45, 1e30)]);
            let masked: Vec<(usize, f32)> = (50..60).map(|index| (index, -INFINITY)).collect();
            set(tensors, "x0", &masked);
        })
    };
    [("softmax", false), ("log_softmax", true)].into_iter().map(case).collect()
}

/// What is done to the logits before a loss is taken of them.
type Prepare = (&'static str, fn(&mut Tensors));

const LOGITS: [Prepare; 5] = [
    ("classes masked by -infinity", |tensors| {
        target_first_class(tensors);
        set(tensors, "logits", &[(1, -INFINITY), (12, -INFINITY), (13, -INFINITY), (29, -INFINITY)]);
    }),
    ("the target's masked by -infinity", |tensors| {
        target_first_class(tensors);
        set(tensors, "logits", &[(10, -INFINITY)]);
    }),
    ("1e30", |tensors| {
        target_first_class(tensors);
        set(tensors, "logits", &[(0, 1e30), (1, 1e30), (10, -1e30), (20, 1e30), (33, 1e30)]);
    }),
    ("NaN", |tensors| {
        target_first_class(tensors);
        set(tensors, "logits", &[(0, NAN), (13, -NAN)]);
    }),
    ("an infinity", |tensors| {
        target_first_class(tensors);
        set(tensors, "logits", &[(0, INFINITY), (13, INFINITY)]);
    }),
];

fn target_first_class(tensors: &mut Tensors) {
    if let Some(target) = tensors.get_mut("target") {
        target.u32_mut().fill(0);
    }
}

fn losses() -> Vec<Case> {
    let mut cases = Vec::new();
    for (which, prepare) in LOGITS {
        for label_smoothing in [0.0, 0.1, 1.0] {
            let what = format!("logits [7, 10] with {which}, label smoothing {label_smoothing}");
            let build = move |graph: &mut Graph| {
                let logits = graph.input("logits", TensorSpec::f32([7, 10]))?;
                let target = graph.input("target", TensorSpec::u32([7]))?;
                let loss = graph.apply(CrossEntropy { label_smoothing }, &[logits, target])?;
                let correct = graph.apply_one(CountCorrect { k: 1 }, &[logits, target])?;
                graph.output("correct", correct);
                add_gradients(graph, loss[0], &[logits])
            };
            cases.push(Case::new("cross_entropy", what, build).prepare(prepare));
        }
        for loss in [Loss::Focal { alpha: 0.25, gamma: 2.0 }, Loss::Mse, Loss::MseSoftmax, Loss::Nll] {
            // Its square of 1e30 is beyond f32.
            if loss == Loss::Mse && which == "1e30" {
                continue;
            }
            let what = format!("logits [7, 10] with {which}");
            let build = move |graph: &mut Graph| {
                let logits = graph.input("logits", TensorSpec::f32([7, 10]))?;
                let target = graph.input("target", TensorSpec::u32([7]))?;
                let outputs = graph.apply(loss, &[logits, target])?;
                add_gradients(graph, outputs[0], &[logits])
            };
            cases.push(Case::new(loss.function(), what, build).prepare(prepare));
        }
    }
    cases
}

/// Channels with NaN; the others are what they are without.
fn norms() -> Vec<Case> {
    let batch_norm = |mode: Mode| {
        let build = move |graph: &mut Graph| {
            differentiated(graph, &[vec![3, 5, 7, 4]], |graph, x| Scope::new(graph, mode).batch_norm("bn", x[0]))
        };
        Case::new("batch_norm", format!("x [3, 5, 7, 4] with NaN, {mode:?}"), build)
            .prepare(|tensors| {
                set(tensors, "x0", &[(30, NAN)]);
                for name in ["bn.running_var", "bn.weight"] {
                    if let Some(tensor) = tensors.get_mut(name) {
                        tensor.f32_mut().iter_mut().for_each(|value| *value = value.abs() + 0.5);
                    }
                }
            })
            .tolerance(2e-5, 2e-6)
    };
    let mut cases: Vec<Case> = [Mode::Train, Mode::Eval].into_iter().map(batch_norm).collect();
    let norm = LocalResponseNorm { size: 3, alpha: 0.7, beta: 0.75, k: 1.0 };
    let what = "x [2, 9, 4, 4] with NaN and infinities";
    cases.push(
        several("local_response_norm", what, &[vec![2, 9, 4, 4]], move |graph, x| graph.apply_one(norm, x))
            .prepare(|tensors| set(tensors, "x0", &[(3, NAN), (150, INFINITY)])),
    );
    cases
}

/// What is done to a case's tensors, and how it is called.
type Prepared = (&'static str, fn(&mut Tensors));

/// Deviation 1 around a mean that is `MEAN` times as large, and the same with a first element far from all others,
/// which a sum that starts from it would not get over.
fn far_batch_norms() -> Vec<Case> {
    let far: [Prepared; 4] = [
        ("around 1000", |tensors| shift(tensors, 1e3)),
        ("around 10000", |tensors| shift(tensors, 1e4)),
        ("around 100000", |tensors| shift(tensors, 1e5)),
        ("around 1000, the first element 0", |tensors| {
            shift(tensors, 1e3);
            set(tensors, "x0", &[(0, 0.0)]);
        }),
    ];
    let case = |(what, prepare): Prepared| {
        let build = |graph: &mut Graph| {
            differentiated(graph, &[vec![32, 5, 33, 31]], |graph, x| {
                Scope::new(graph, Mode::Train).batch_norm("bn", x[0])
            })
        };
        Case::new("batch_norm", format!("x [32, 5, 33, 31] {what}"), build).prepare(prepare).tolerance(1e-5, 1e-6)
    };
    far.into_iter().map(case).collect()
}

fn shift(tensors: &mut Tensors, mean: f32) {
    if let Some(x) = tensors.get_mut("x0") {
        x.f32_mut().iter_mut().for_each(|x| *x = 1.7 * *x + mean);
    }
    // Small, so that what is compared is the statistics and not the rounding of y.
    for name in ["bn.running_mean", "bn.running_var"] {
        if let Some(tensor) = tensors.get_mut(name) {
            tensor.f32_mut().fill(0.0);
        }
    }
}

/// Many equal terms, whose rounding errors are equal too and add up.
fn sums() -> Vec<Case> {
    const TERMS: usize = 1 << 20;
    let equal: fn(&mut Tensors) = |tensors| {
        for tensor in tensors.values_mut() {
            tensor.f32_mut().fill(0.1);
        }
    };
    let exact = |case: Case| case.prepare(equal).tolerance(2e-7, 0.0);
    let mean = several("mean", "1048576 equal terms", &[vec![1, TERMS]], |graph, x| {
        Scope::new(graph, Mode::Eval).mean(x[0], &[1], false)
    });
    let channels = several("mean", "4 channels of 262144 equal terms", &[vec![64, 4, 64, 64]], |graph, x| {
        Scope::new(graph, Mode::Eval).mean(x[0], &[0, 2, 3], false)
    });
    let pool = several("adaptive_avg_pool2d", "1048576 equal terms", &[vec![1, 1, 1024, 1024]], |graph, x| {
        graph.apply_one(AdaptiveAvgPool2d { output_size: [1, 1] }, x)
    });
    let bias = Case::new("add", "1048576 equal terms a channel", |graph| {
        let x = graph.input("x", TensorSpec::f32([16, 2, 65_536]))?;
        let y = graph.apply_one(ChannelSum { outer: 16, channels: 2, inner: 65_536 }, &[x])?;
        graph.output("y", y);
        Ok(())
    });
    let rows = Case::new("mse", "65000 rows of equal loss", |graph| {
        let logits = graph.input("logits", TensorSpec::f32([65_000, 1]))?;
        let target = graph.input("target", TensorSpec::u32([65_000]))?;
        let outputs = graph.apply(Loss::Mse, &[logits, target])?;
        graph.output("loss", outputs[0]);
        Ok(())
    });
    let equal_logits: fn(&mut Tensors) = |tensors| {
        target_first_class(tensors);
        if let Some(logits) = tensors.get_mut("logits") {
            logits.f32_mut().fill(0.1);
        }
    };
    let mut cases: Vec<Case> = [mean, channels, pool, bias].into_iter().map(exact).collect();
    cases.push(rows.prepare(equal_logits).tolerance(2e-7, 0.0));
    cases
}

/// The sum of equal upstream gradients. The input is zero, and with it the gradient of the weight, which is a
/// product and not compensated.
fn bias_gradients() -> Vec<Case> {
    let all: [(&'static str, Vec<Vec<usize>>, Build); 4] = [
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
    let case = |(op, shapes, build): (&'static str, Vec<Vec<usize>>, Build)| {
        let what = format!("x {:?}, equal gradients", shapes[0]);
        Case::differentiated(op, what, shapes, build)
            .prepare(|tensors| {
                for (name, value) in [("x0", 0.0), ("dout", 0.1)] {
                    if let Some(HostTensor::F32(values)) = tensors.get_mut(name) {
                        values.fill(value);
                    }
                }
            })
            .tolerance(1e-6, 0.0)
    };
    all.into_iter().map(case).collect()
}

/// Gradients that are not finite reach their own parameters alone, but for the norm, which is all gradients'.
fn optimizers() -> Vec<Case> {
    let transforms = [
        GradientTransform::default(),
        GradientTransform { l1: 0.02, clip_grad_value: Some(0.4), clip_grad_norm: Some(1.5) },
    ];
    let mut cases = Vec::new();
    for rule in Optimizer::cases() {
        for transform in transforms {
            let what = format!("{rule}, gradients with NaN, clipped {}", transform.clip_grad_norm.is_some());
            let rule = rule.clone();
            let build = move |graph: &mut Graph| {
                update(graph, UpdateConfig { transform, ..UpdateConfig::new(optimizer(&rule)?) })
            };
            let nan: fn(&mut Tensors) = |tensors| {
                plausible_state(tensors);
                set(tensors, "gradient of a", &[(3, NAN), (4, -NAN)]);
            };
            cases.push(Case::new("optimizer", what, build).prepare(nan).tolerance(2e-6, 1e-7));
        }
    }
    cases
}
