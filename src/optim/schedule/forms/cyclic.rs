//! `cyclic`: up and down between two rates, again and again; the base rate is the upper one where none is given
//! (Smith 2017).

use crate::optim::schedule::Form;
use crate::optim::{Attribute, Range, Takes, Values};

static ATTRIBUTES: [Attribute; 6] = [
    Attribute::new("base_lr", Takes::Needed(Range::NotNegative), "the least rate"),
    Attribute::new("max_lr", Takes::Rate, "the largest rate, or what a scale comes off"),
    Attribute::new("step_size_up", Takes::StepsOr(2000, 1), "steps up"),
    Attribute::new("step_size_down", Takes::StepsOr(0, 0), "steps down; 0 for as many as up"),
    Attribute::new(
        "mode",
        Takes::Word(&["triangular", "triangular2", "exp_range"]),
        "whether the way up from base_lr stays, halves with each cycle, or is times gamma^t",
    ),
    Attribute::new("gamma", Takes::Number(1.0, Range::NotNegative), "of exp_range"),
];

pub(super) static FORM: Form = Form::new(
    "cyclic",
    "base_lr + (max_lr - base_lr) h s, where h goes from 0 up to 1 in step_size_up steps and down again in step_size_down, \
     and s is 1, 2^-(cycles before) or gamma^t by the mode",
    &ATTRIBUTES,
    |of, _, step| rate(of, step),
);

fn rate(of: &Values, step: u64) -> f64 {
    let (least, most) = (of.number("base_lr"), of.number("max_lr"));
    let up = of.count("step_size_up");
    let down = match of.count("step_size_down") {
        0 => up,
        down => down,
    };
    // In whole steps, so that a long run keeps its precision.
    let length = up.saturating_add(down);
    let (cycle, within) = (step / length, step % length);
    let height = match within <= up {
        true => within as f64 / up as f64,
        false => (length - within) as f64 / down as f64,
    };
    let scale = match of.word("mode") {
        "triangular2" => 0.5f64.powf(cycle as f64),
        "exp_range" => of.number("gamma").powf(step as f64),
        _ => 1.0,
    };
    least + (most - least) * height * scale
}
