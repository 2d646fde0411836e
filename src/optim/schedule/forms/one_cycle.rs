//! `one_cycle`: up to the largest rate and down again; the base rate is not used (Smith and Topin 2018).

use crate::optim::schedule::Form;
use crate::optim::{Attribute, Range, Takes, Values};
use std::f64::consts::PI;

static ATTRIBUTES: [Attribute; 7] = [
    Attribute::new("max_lr", Takes::Rate, "the largest rate"),
    Attribute::new("total_steps", Takes::StepsToEnd(None), "steps of the cycle, whose last rate stays"),
    Attribute::new("pct_start", Takes::Number(0.3, Range::UpToOne), "share of the steps in which the rate rises"),
    Attribute::new("anneal_strategy", Takes::Word(&["cos", "linear"]), "the curve up and down"),
    Attribute::new("div_factor", Takes::Number(25.0, Range::Positive), "the first rate is the largest over this"),
    Attribute::new("final_div_factor", Takes::Number(1e4, Range::Positive), "the last rate is the first over this"),
    Attribute::new(
        "three_phase",
        Takes::Flag(false),
        "comes down to the first rate as long as it rose, then to the last",
    ),
];

pub(super) static FORM: Form = Form::new(
    "one_cycle",
    "from max_lr / div_factor up to max_lr for pct_start of the steps, then down to the first rate / final_div_factor",
    &ATTRIBUTES,
    |of, _, step| rate(of, step),
);

fn rate(of: &Values, step: u64) -> f64 {
    let (max_lr, pct_start, steps) = (of.number("max_lr"), of.number("pct_start"), of.count("total_steps") as f64);
    let last = steps - 1.0;
    let t = (step as f64).min(last);
    let first_rate = max_lr / of.number("div_factor");
    let last_rate = first_rate / of.number("final_div_factor");
    let top = pct_start * steps - 1.0;
    let back = 2.0 * pct_start * steps - 2.0;

    let (from, to, begin, end) = if t <= top {
        (first_rate, max_lr, 0.0, top)
    } else if !of.flag("three_phase") {
        (max_lr, last_rate, top, last)
    } else if t <= back {
        (max_lr, first_rate, top, back)
    } else {
        (first_rate, last_rate, back, last)
    };
    // A rising leg may be a single step long (pct_start * total_steps = 1): then it is done.
    let share = if end > begin { (t - begin) / (end - begin) } else { 1.0 };
    match of.word("anneal_strategy") {
        "linear" => from + (to - from) * share,
        _ => to + (from - to) / 2.0 * (1.0 + (PI * share).cos()),
    }
}
