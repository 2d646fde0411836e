//! `plateau`: lower when a metric stops getting better.

use crate::optim::schedule::Form;
use crate::optim::schedule::form::Observed;
use crate::optim::{Attribute, Range, Takes, Values};

static ATTRIBUTES: [Attribute; 8] = [
    Attribute::new("mode", Takes::Word(&["min", "max"]), "whether a smaller or a larger metric is better"),
    Attribute::new("factor", Takes::Number(0.1, Range::BelowOne), "what the rate is multiplied by"),
    Attribute::new("patience", Takes::Count(10, [0, u64::MAX]), "epochs in a row that may bring nothing better"),
    Attribute::new("threshold", Takes::Number(1e-4, Range::NotNegative), "by how much the best must be passed"),
    Attribute::new(
        "threshold_mode",
        Takes::Word(&["rel", "abs"]),
        "whether that is a share of the best or a difference",
    ),
    Attribute::new("cooldown", Takes::Count(0, [0, u64::MAX]), "epochs after a fall that count neither way"),
    Attribute::new("min_lr", Takes::Number(0.0, Range::NotNegative), "the least rate"),
    Attribute::new("eps", Takes::Number(1e-8, Range::NotNegative), "a fall by this much or less is not made"),
];

pub(super) static FORM: Form = Form {
    observe: Some(observe),
    ..Form::new(
        "plateau",
        "lr, times factor whenever the loss of an epoch has not been better for more than patience epochs",
        &ATTRIBUTES,
        |_, base_lr, _| base_lr,
    )
};

fn observe(of: &Values, state: &mut Observed, metric: f64) -> bool {
    if metric.is_finite() && state.best.is_none_or(|best| is_better(of, metric, best)) {
        state.best = Some(metric);
        state.bad = 0;
    } else {
        state.bad += 1;
    }
    if state.cooling > 0 {
        state.cooling -= 1;
        state.bad = 0;
    }
    if state.bad <= of.count("patience") {
        return false;
    }
    state.cooling = of.count("cooldown");
    state.bad = 0;
    let lower = (state.lr * of.number("factor")).max(of.number("min_lr"));
    let falls = state.lr - lower > of.number("eps");
    if falls {
        state.lr = lower;
    }
    falls
}

fn is_better(of: &Values, metric: f64, best: f64) -> bool {
    let threshold = of.number("threshold");
    match (of.word("threshold_mode"), of.word("mode")) {
        ("abs", "max") => metric > best + threshold,
        ("abs", _) => metric < best - threshold,
        (_, "max") => metric > best * (1.0 + threshold),
        _ => metric < best * (1.0 - threshold),
    }
}
