//! The picture of a sweep: test accuracies over the trials, and by each searched setting.

use super::setting::text;
use super::table::{Status, TrialResult};
use super::{Axis, Trial};
use crate::report::{Across, Curve, Mark, Panel, Style};

/// A panel for the trials in their order, then one for each axis. Accuracies are in percent.
pub(super) fn panels(model: &str, axes: &[Axis], trials: &[Trial], results: &[TrialResult]) -> Vec<Panel> {
    let begun: Vec<Begun<'_>> = trials
        .iter()
        .zip(results)
        .filter_map(|(trial, result)| Some((trial, result, 100.0 * result.accuracy()?)))
        .collect();
    let best = begun.iter().filter(|(_, result, _)| result.status != Status::Failed).min_by(|a, b| a.1.compare(b.1));
    let marked = |x: Option<f64>| {
        let (trial, _, accuracy) = best?;
        Some(Mark { label: format!("best: trial {}, {accuracy:.2} %", trial.number), x: x? })
    };
    let mut highest = f64::NEG_INFINITY;
    let so_far = begun.iter().map(|(trial, _, accuracy)| {
        highest = highest.max(*accuracy);
        (trial.number as f64, highest)
    });
    let so_far = Curve { label: "best so far".to_owned(), points: so_far.collect(), style: Style::Line };
    let by_number = by_status(&begun, |trial| Some(trial.number as f64));
    let over_trials = Panel {
        title: format!("{model}: test accuracy"),
        x_label: "trial".to_owned(),
        y_label: Y_LABEL.to_owned(),
        across: Across::Whole,
        curves: by_number.into_iter().chain([so_far]).collect(),
        marks: marked(best.map(|(trial, ..)| trial.number as f64)).into_iter().collect(),
        ..Panel::default()
    };
    let by_setting = axes.iter().enumerate().map(|(index, axis)| {
        let value = |trial: &Trial| trial.settings.get(index).map(|(_, value)| value.clone());
        let number = |trial: &Trial| value(trial).and_then(|value| value.as_f64());
        let names = names(trials, index);
        let is_numeric = trials.iter().all(|trial| number(trial).is_some());
        let place = |trial: &Trial| {
            let name = text(&value(trial)?);
            names.iter().position(|known| *known == name).map(|place| place as f64 + 1.0)
        };
        let x = |trial: &Trial| if is_numeric { number(trial) } else { place(trial) };
        let marks = marked(best.and_then(|(trial, ..)| x(trial))).into_iter().collect();
        let curves = by_status(&begun, x);
        let are_whole = trials.iter().all(|trial| number(trial).is_some_and(|number| number.fract() == 0.0));
        Panel {
            title: format!("{model}: test accuracy by {}", axis.setting.name),
            x_label: axis.setting.name.clone(),
            y_label: Y_LABEL.to_owned(),
            across: match is_numeric {
                false => Across::Names(names),
                true if axis.is_log() => Across::Logarithmic,
                true if are_whole => Across::Whole,
                true => Across::Linear,
            },
            curves,
            marks,
            ..Panel::default()
        }
    });
    std::iter::once(over_trials).chain(by_setting).collect()
}

/// A trial, what it came to, and its accuracy in percent.
type Begun<'a> = (&'a Trial, &'a TrialResult, f64);

const Y_LABEL: &str = "test accuracy, %";

/// The values of a setting as words, in the order in which trials have them.
fn names(trials: &[Trial], index: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (_, value) in trials.iter().filter_map(|trial| trial.settings.get(index)) {
        let name = text(value);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Dots at `x` of a trial: those that were halted apart, since they have fewer epochs.
fn by_status(begun: &[Begun<'_>], x: impl Fn(&Trial) -> Option<f64>) -> Vec<Curve> {
    let dots = |label: &str, halted: bool| {
        let wanted = begun.iter().filter(|(_, result, _)| (result.status == Status::Halted) == halted);
        let points = wanted.filter_map(|(trial, _, accuracy)| Some((x(trial)?, *accuracy))).collect();
        Curve { label: label.to_owned(), points, style: Style::Dots }
    };
    let curves = [dots("trials", false), dots("halted", true)];
    curves.into_iter().filter(|curve| curve.label != "halted" || !curve.points.is_empty()).collect()
}
