//! The card of updates: the optimizers' step, clipping and averages.

use super::{Averaging, GradientTransform, Groups, NotFinite, Optimizer, ParameterGroup, Sgd, UpdateConfig};
use crate::graph::{Graph, GraphError, Init, Value};
use crate::ops::card::{Card, Case, Chapter, Entry, INFINITY, NAN, NO_GRADIENT, set};
use crate::tensor::{HostTensor, TensorSpec, Tensors};
use std::collections::HashMap;

pub(crate) static CARD: Card = Card::new(Chapter::Optimizer, &[
    Entry {
        name: "optimizer_step",
        computes: "p := p - lr * direction(g, state) for a whole pack, by the rule of an [optimizer](settings.md#optimizers); in place",
        shapes: "packs of parameters, up to four states and gradients of one length, scalars [5], the gradients' scale [1] with norm clipping",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/step", "optimizer/transform"],
        flops: "8 elements of p",
    },
    Entry {
        name: "squared_norm",
        computes: "sum of the squares of a pack's gradients, in a fixed order",
        shapes: "packs of gradients and parameters; y [1]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/squared_norm", "optimizer/transform", "reduce/sum_parts", "reduce/sum_parts_together"],
        flops: "2 elements of g",
    },
    Entry {
        name: "clip_scale",
        computes: "min(1, max_norm / (norm + 1e-6)), and the norm",
        shapes: "the squared norm [1]; two of [1]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/clip_scale"],
        flops: "0",
    },
    Entry {
        name: "trust_ratios",
        computes: "||p|| / ||d|| of each tensor of a pack, 1 where one is 0, for each block of 64 elements",
        shapes: "a pack of parameters and their directions of one length; y [length / 64]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/block_squares", "optimizer/member_squares", "optimizer/trust_ratio"],
        flops: "4 elements of p",
    },
    Entry {
        name: "unit_norm",
        computes: "a part of x as a matrix, over the larger of its Frobenius norm and eps",
        shapes: "x [length]; y [rows, columns]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/squared_norm", "optimizer/transform", "reduce/sum_parts", "reduce/sum_parts_together", "optimizer/unit_norm"],
        flops: "3 elements of y",
    },
    Entry {
        name: "weighted_sum",
        computes: "a times the first input plus b times the second",
        shapes: "two inputs and y of one shape",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/weighted_sum"],
        flops: "3 elements of y",
    },
    Entry {
        name: "apply_directions",
        computes: "p := (1 - lr decay) p - lr factor d, d times its tensor's trust ratio where there are some; in place",
        shapes: "parameters and directions, as many; scalars [5], trust ratios [length / 64]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/apply"],
        flops: "0",
    },
    Entry {
        name: "unscale_gradients",
        computes: "g := g / s, s the loss scale, and whether a g is not finite; in place",
        shapes: "gradients, scale [1] to [1]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/unscale", "reduce/sum_parts", "reduce/sum_parts_together"],
        flops: "0",
    },
    Entry {
        name: "adapt_scale",
        computes: "loss scale: half where gradients are not finite, double after 2000 steps, or 1 throughout; in place",
        shapes: "scale, good steps, skipped steps and what is not finite, each [1], scalars of 64 steps [64, 5] to [6]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/adapt_scale"],
        flops: "0",
    },
    Entry {
        name: "average_weights",
        computes: "e := e + share * (w - e): exponential and stochastic weight averaging; in place",
        shapes: "packs e and w of one length, share [1]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/average"],
        flops: "0",
    },
])
.cases(|| [optimizers(), not_finite(), clipped(), maximized(), scaled()].into_iter().flatten().collect());

fn optimizers() -> Vec<Case> {
    let averaging = Some(Averaging::Swa { start: 2, every: 1 });
    let mut cases = each("", UpdateConfig { averaging, ..UpdateConfig::new(Optimizer::default()) }, plausible_state);
    for rule in ["adamw:weight_decay=0.3", "sgd:momentum=0.9,weight_decay=0.01"] {
        let build = move |graph: &mut Graph| {
            let refused = |reason: String| GraphError::attribute("optimizer", rule, reason);
            let group = |text: &str| text.parse::<ParameterGroup>().map_err(|reason| refused(reason.to_string()));
            let groups = vec![group("b:lr=0.25,weight_decay=0")?, group("c:lr=3")?];
            update_in_groups(graph, UpdateConfig::new(optimizer(rule)?), &Groups { groups, ..Groups::default() })
        };
        let case = Case::new("optimizer", format!("{rule}, in groups"), build);
        cases.push(case.prepare(plausible_state).tolerance(2e-6, 1e-7));
    }
    cases
}

/// Every optimizer in the place of the one of `config`, with its gradients as they are and with all that clips them.
fn each(what: &str, config: UpdateConfig, prepare: fn(&mut Tensors)) -> Vec<Case> {
    let clipped = GradientTransform {
        l1: 0.02,
        clip_grad_value: Some(0.4),
        clip_grad_norm: Some(1.5),
        ..GradientTransform::default()
    };
    let of = |rule: String| {
        [GradientTransform::default(), clipped].map(|transform| {
            let what = format!("{rule}{what}, clipped {}", transform.clip_grad_norm.is_some());
            let (rule, config) = (rule.clone(), config.clone());
            let build = move |graph: &mut Graph| {
                update(graph, UpdateConfig { optimizer: optimizer(&rule)?, transform, ..config.clone() })
            };
            Case::new("optimizer", what, build).prepare(prepare).tolerance(2e-6, 1e-7)
        })
    };
    Optimizer::cases().into_iter().flat_map(of).collect()
}

fn optimizer(text: &str) -> Result<Optimizer, GraphError> {
    text.parse().map_err(|reason| GraphError::attribute("optimizer", text, format!("{reason}")))
}

/// Parameters of awkward sizes with given gradients, and their update: the outer ones are the first and the last layer.
fn update(graph: &mut Graph, config: UpdateConfig) -> Result<(), GraphError> {
    update_in_groups(graph, config, &Groups::default())
}

fn update_in_groups(graph: &mut Graph, config: UpdateConfig, groups: &Groups) -> Result<(), GraphError> {
    let mut gradients: HashMap<Value, Value> = HashMap::new();
    let shapes: [(&str, &[usize]); 5] =
        [("a", &[13, 7, 3, 3]), ("b", &[1]), ("wide", &[9, 5, 3, 3]), ("tall", &[70, 11]), ("c", &[5, 31])];
    for (name, shape) in shapes {
        let parameter = graph.parameter(name, shape.to_vec(), Init::ONES)?;
        gradients.insert(parameter, graph.input(&format!("gradient of {name}"), TensorSpec::f32(shape.to_vec()))?);
    }
    let shares = groups.shares(graph, &config.optimizer);
    config.attach_with(graph, &gradients, &shares).map(|_| ())
}

/// Averages of squares are not negative, and above the square of the average.
fn plausible_state(tensors: &mut Tensors) {
    for (name, tensor) in tensors {
        let HostTensor::F32(values) = tensor else { continue };
        if name.starts_with("optimizer.grad_avg") {
            values.iter_mut().for_each(|value| *value *= 0.5);
        } else if name.starts_with("optimizer.") && !name.contains("momentum") {
            values.iter_mut().for_each(|value| *value = value.abs() + 1.0);
        } else if name == crate::optim::SCALARS {
            // Of each step others.
            for (before, step) in values.chunks_exact_mut(5).enumerate() {
                let more = 1.0 + 0.02 * before as f32;
                step.copy_from_slice(&[0.05, 1.1 * more, 1.3 * more, 0.7 * more, 0.0]);
            }
        }
    }
}

/// Gradients that are not finite reach their own parameters alone, but for the norm, which is all gradients'.
fn not_finite() -> Vec<Case> {
    each(", gradients with NaN", UpdateConfig::new(Optimizer::default()), |tensors| {
        plausible_state(tensors);
        set(tensors, "gradient of a", &[(3, NAN), (4, -NAN)]);
    })
}

/// Towards a large loss, with the sign of what comes before and after it.
fn maximized() -> Vec<Case> {
    let transforms = [
        GradientTransform { maximize: true, ..GradientTransform::default() },
        GradientTransform { l1: 0.02, clip_grad_value: Some(0.4), clip_grad_norm: Some(1.5), maximize: true },
    ];
    let case = |transform: GradientTransform| {
        let build = move |graph: &mut Graph| {
            update(
                graph,
                UpdateConfig { transform, ..UpdateConfig::new(optimizer("sgd:momentum=0.9,weight_decay=0.01")?) },
            )
        };
        let what = format!("towards a large loss, clipped {}", transform.clip_grad_norm.is_some());
        Case::new("optimizer", what, build).prepare(plausible_state).tolerance(2e-6, 1e-7)
    };
    transforms.map(case).into()
}

/// A loss that was scaled: a step after which the scale grows, and one that is skipped, in one of whose packs alone a
/// gradient is not finite, before others that are. Clipping by the norm, which makes up for a wrong scale, is left out where
/// the rule's step is as long as its gradient.
fn scaled() -> Vec<Case> {
    let rules = ["sgd:momentum=0.9", "adam", "lamb", "muon"];
    let case = |rule: &'static str, not_finite: NotFinite, what: &str, prepare: fn(&mut Tensors)| {
        let clip_grad_norm = (!rule.starts_with("sgd")).then_some(1.5);
        let transform = GradientTransform { clip_grad_norm, ..GradientTransform::default() };
        let build = move |graph: &mut Graph| {
            let group = "b:lr=0.25".parse::<ParameterGroup>();
            let group = group.map_err(|reason| GraphError::attribute("group", "b", reason.to_string()))?;
            let config = UpdateConfig { transform, not_finite, ..UpdateConfig::new(optimizer(rule)?) };
            update_in_groups(graph, config, &Groups { groups: vec![group], ..Groups::default() })
        };
        Case::new("optimizer", format!("{rule}, {what}"), build).prepare(prepare).tolerance(2e-6, 1e-7)
    };
    let skipped: fn(&mut Tensors) = |tensors| {
        skipped_before(tensors, 0.25);
        set(tensors, "gradient of a", &[(3, INFINITY)]);
    };
    let unscaled: fn(&mut Tensors) = |tensors| {
        skipped_before(tensors, 1.0);
        set(tensors, "gradient of c", &[(7, -INFINITY)]);
    };
    let mut cases = vec![
        case("adam", NotFinite::Skipped, "of a loss as it is", |tensors| skipped_before(tensors, 1.0)),
        case("adam", NotFinite::Skipped, "of a loss as it is, is skipped", unscaled),
    ];
    cases.extend(rules.into_iter().flat_map(|rule| {
        [
            case(rule, NotFinite::Scaled, "of a scaled loss, grows", |tensors| skipped_before(tensors, 0.25)),
            case(rule, NotFinite::Scaled, "of a scaled loss, is skipped", skipped),
        ]
    }));
    cases
}

/// Three steps were skipped before 1999 that were not.
fn skipped_before(tensors: &mut Tensors, scale: f32) {
    plausible_state(tensors);
    set(tensors, "loss_scale.scale", &[(0, scale)]);
    set(tensors, "loss_scale.good_steps", &[(0, 1999.0)]);
    set(tensors, "loss_scale.skipped_steps", &[(0, 3.0)]);
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
