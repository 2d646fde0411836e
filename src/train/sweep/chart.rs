//! The picture of a sweep: test accuracies over the trials, and by each searched setting.

use super::setting::text;
use super::table::{Status, TrialResult};
use super::{Axis, Trial};
use crate::report::{Curve, Panel, Style};
use serde_json::Value;

/// A panel for the trials in their order, then one for each axis. Accuracies are in percent.
pub(super) fn panels(model: &str, axes: &[Axis], trials: &[Trial], results: &[TrialResult]) -> Vec<Panel> {
    let begun: Vec<(&Trial, &TrialResult, f64)> = trials
        .iter()
        .zip(results)
        .filter_map(|(trial, result)| Some((trial, result, 100.0 * result.test_accuracy?)))
        .collect();
    let mut highest = f64::NEG_INFINITY;
    let best = begun.iter().map(|(trial, _, accuracy)| {
        highest = highest.max(*accuracy);
        (trial.number as f64, highest)
    });
    let best = Curve { label: "best so far".to_owned(), points: best.collect(), style: Style::Line };
    let by_number = by_status(&begun, |trial| Some(trial.number as f64));
    let over_trials = Panel {
        title: format!("{model}: test accuracy, %"),
        x_label: "trial".to_owned(),
        log_x: false,
        bands: Vec::new(),
        curves: by_number.into_iter().chain([best]).collect(),
    };
    let by_setting = axes.iter().enumerate().map(|(index, axis)| {
        let value = |trial: &Trial| trial.settings.get(index).and_then(|(_, value)| value.as_f64());
        let is_numeric = trials.iter().all(|trial| value(trial).is_some());
        Panel {
            title: format!("{model}: test accuracy, % by {}", axis.setting.name),
            x_label: axis.setting.name.clone(),
            log_x: is_numeric && axis.is_log(),
            bands: Vec::new(),
            curves: if is_numeric { by_status(&begun, value) } else { by_word(&begun, index) },
        }
    });
    std::iter::once(over_trials).chain(by_setting).collect()
}

/// Dots at `x` of a trial: those that were halted apart, since they have fewer epochs.
fn by_status(begun: &[(&Trial, &TrialResult, f64)], x: impl Fn(&Trial) -> Option<f64>) -> Vec<Curve> {
    let dots = |label: &str, halted: bool| {
        let wanted = begun.iter().filter(|(_, result, _)| (result.status == Status::Halted) == halted);
        let points = wanted.filter_map(|(trial, _, accuracy)| Some((x(trial)?, *accuracy))).collect();
        Curve { label: label.to_owned(), points, style: Style::Dots }
    };
    let curves = [dots("trials", false), dots("halted", true)];
    curves.into_iter().filter(|curve| curve.label != "halted" || !curve.points.is_empty()).collect()
}

/// Dots for each value of a setting without numbers, side by side, the value as their label.
fn by_word(begun: &[(&Trial, &TrialResult, f64)], index: usize) -> Vec<Curve> {
    let value = |trial: &Trial| trial.settings.get(index).map_or(String::new(), |(_, value): &(_, Value)| text(value));
    let mut curves: Vec<Curve> = Vec::new();
    for (trial, _, accuracy) in begun {
        let label = value(trial);
        let place = curves.iter().position(|curve| curve.label == label).unwrap_or_else(|| {
            curves.push(Curve { label, points: Vec::new(), style: Style::Dots });
            curves.len() - 1
        });
        curves[place].points.push((place as f64 + 1.0, *accuracy));
    }
    curves
}
