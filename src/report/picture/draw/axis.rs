//! Where values lie on an axis, and which of them have a label.

use super::clean;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use std::ops::Range;

/// An axis from `low` to `high`, in values, or in their logarithms to the base 10.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    /// Values with their labels.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis over finite `values` with a little room, and at most about `most` labels. A `whole` one has none between
    /// whole numbers.
    pub(super) fn over(values: impl Iterator<Item = f64>, log: bool, whole: bool, most: usize) -> Axis {
        let placed = values.map(|value| if log { value.log10() } else { value }).filter(|value| is_drawn(*value));
        let (low, high) = span(placed);
        let mut axis = Axis { low, high, log, ticks: Vec::new() };
        axis.ticks = if log { axis.powers(most) } else { axis.steps(most, whole) };
        axis
    }

    /// An axis with a name at 1, 2, ...
    pub(super) fn of_names(names: &[String]) -> Axis {
        let ticks = names.iter().enumerate().map(|(index, name)| (index as f64 + 1.0, name.clone()));
        Axis { low: 0.5, high: names.len() as f64 + 0.5, log: false, ticks: ticks.collect() }
    }

    /// Where a value lies, from 0 at the low end to 1 at the high one.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        (value - self.low) / (self.high - self.low)
    }

    /// The label of a tick.
    pub(super) fn label_at(&self, value: f64) -> &str {
        self.ticks.iter().find(|(tick, _)| *tick == value).map_or("", |(_, label)| label)
    }

    /// The value at a place from 0 to 1.
    pub(super) fn value(&self, place: f64) -> f64 {
        let value = self.low + place * (self.high - self.low);
        if self.log { 10f64.powf(value) } else { value }
    }

    /// Multiples of 1, 2 or 5 times a power of ten.
    fn steps(&self, most: usize, whole: bool) -> Vec<(f64, String)> {
        let step = round_step((self.high - self.low) / most.max(1) as f64);
        let step = if whole { step.max(1.0) } else { step };
        let (first, last) = ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
        // Rounding may leave an end out, never add many.
        let multiples = (first..=last).take(4 * most.max(1));
        multiples.map(|multiple| multiple as f64 * step).map(|value| (value, label(value, step))).collect()
    }

    /// Powers of ten, so many apart that there are few; where the axis has fewer than two, multiples of them.
    fn powers(&self, most: usize) -> Vec<(f64, String)> {
        let (first, last) = (self.low.ceil() as i32, self.high.floor() as i32);
        let powers = (last - first + 1).max(0) as usize;
        let tick = |exponent: i32, digit: i32| {
            // From text: a power of ten may come out as 9.999...e-6.
            let value: f64 = format!("{digit}e{exponent}").parse().unwrap_or(1.0);
            (value, scientific(value))
        };
        if powers >= 2 {
            let apart = powers.div_ceil(most.max(1)) as i32;
            let kept = (first..=last).filter(|exponent| exponent.rem_euclid(apart) == 0);
            return kept.map(|exponent| tick(exponent, 1)).collect();
        }
        let digits: &[i32] = if most > 5 { &[1, 2, 3, 5] } else { &[1, 3] };
        let ticks = (self.low.floor() as i32..=last + 1)
            .flat_map(|exponent| digits.iter().map(move |&digit| tick(exponent, digit)));
        let within: Vec<_> = ticks.filter(|(value, _)| (self.low..=self.high).contains(&value.log10())).collect();
        match within.len() {
            2.. => within,
            // Less than a factor of two or so.
            _ => {
                let axis = Axis { low: self.value(0.0), high: self.value(1.0), log: false, ticks: Vec::new() };
                axis.steps(most.min(4), false)
            }
        }
    }
}

/// How plotters knows an axis.
impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn range(&self) -> Range<f64> {
        self.value(0.0)..self.value(1.0)
    }

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        start + (self.place(*value) * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(value, _)| *value).collect()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        clean(self.label_at(*value))
    }
}

/// Whether a value has a place: infinities have none, and what is near them leaves no room to count in.
pub(super) fn is_drawn(value: f64) -> bool {
    value.abs() < 1e300
}

/// From the least to the greatest value with a little room, never empty.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, greatest) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), v| (least.min(v), greatest.max(v)));
    match greatest - least {
        width if width > 0.0 && width.is_finite() => (least - 0.04 * width, greatest + 0.04 * width),
        // A number has neighbours only so near.
        0.0 if least.abs() > 1e15 => (least - 0.5 * least.abs(), least + 0.5 * least.abs()),
        0.0 => (least - 0.5, greatest + 0.5),
        _ => (0.0, 1.0),
    }
}

/// The least of 1, 2, 5, 10, ... times a power of ten that is at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= step * 0.999);
    factor.unwrap_or(10.0) * power
}

/// With as many decimals as the step between labels has.
fn label(value: f64, step: f64) -> String {
    if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) && !(1e-3..1e6).contains(&step) {
        return scientific(value);
    }
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    format!("{value:.decimals$}")
}

/// In scientific notation, to three digits.
fn scientific(value: f64) -> String {
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    format!("{rounded:e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn labels_stand_at_round_numbers_and_are_few() {
        let axis = |values: [f64; 2]| Axis::over(values.into_iter(), false, false, 6);
        assert_eq!(labels(&axis([0.0, 1.0])), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&axis([90.0, 97.5])), ["90", "92", "94", "96"]);
        assert_eq!(labels(&axis([-3e9, 3e9])), ["-2e9", "0", "2e9"]);
        assert_eq!(labels(&axis([2e-6, 7e-6])), ["2e-6", "3e-6", "4e-6", "5e-6", "6e-6", "7e-6"]);
    }

    #[test]
    fn an_axis_of_whole_numbers_has_no_label_between_them() {
        for (values, want) in [
            ([1.0, 2.0], &["1", "2"][..]),
            ([1.0, 1.0], &["1"]),
            ([1.0, 30.0], &["0", "5", "10", "15", "20", "25", "30"]),
        ] {
            assert_eq!(labels(&Axis::over(values.into_iter(), false, true, 8)), want);
        }
    }

    #[test]
    fn a_logarithmic_axis_has_powers_of_ten_or_what_lies_between_them() {
        let axis = |low: f64, high: f64| Axis::over([low, high].into_iter(), true, false, 6);
        assert_eq!(labels(&axis(1e-6, 1e-2)), ["1e-6", "1e-5", "1e-4", "1e-3", "1e-2"]);
        assert_eq!(labels(&axis(1e-30, 1e30)).len(), 5);
        assert_eq!(labels(&axis(1e-3, 4e-3)), ["1e-3", "2e-3", "3e-3"]);
        assert_eq!(labels(&axis(0.30, 0.33)), ["0.30", "0.31", "0.32", "0.33"]);
        let halves = axis(1e-6, 1e-2);
        assert!((halves.place(1e-4) - 0.5).abs() < 1e-12 && (halves.value(0.5) - 1e-4).abs() < 1e-12);
    }

    #[test]
    fn no_value_and_extreme_values_make_an_axis() {
        for values in
            [vec![], vec![f64::NAN], vec![5.0], vec![f64::MAX, f64::MIN], vec![1e300, 1e300], vec![1e-320, 2e-320]]
        {
            for log in [false, true] {
                let axis = Axis::over(values.iter().copied(), log, false, 6);
                assert!(axis.place(1.0).is_finite() || axis.low.is_finite(), "{values:?}: {axis:?}");
                assert!(axis.ticks.len() < 30, "{axis:?}");
            }
        }
    }
}
