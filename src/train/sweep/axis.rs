//! What is searched of one setting: its values, or a range that values are drawn from.

use super::setting::SweepSetting;
use super::{Search, SweepError};
use crate::models::Model;
use crate::random::SplitMix64;
use crate::recipe::Kind;
use serde_json::Value;

/// A setting and where its values come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What is searched.
    pub setting: SweepSetting,
    /// What it may be.
    pub space: Space,
}

/// Where the values of a setting come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Space {
    /// These, each as likely as the others.
    Choice(Vec<Value>),
    /// Numbers from `low` to `high`, uniform, or with `log` uniform in the logarithm.
    Real {
        /// The least that it may be.
        low: f64,
        /// The most that it may be.
        high: f64,
        /// Uniform in the logarithm.
        log: bool,
    },
    /// Whole numbers from `low` to `high`, both included, in the same way.
    Whole {
        /// The least that it may be.
        low: u64,
        /// The most that it may be.
        high: u64,
        /// Uniform in the logarithm.
        log: bool,
    },
}

/// Decimals of the smallest number there is; one too small for the logarithm has no more.
const MOST_DECIMALS: f64 = 324.0;

impl Axis {
    /// Reads `NAME=VALUE,VALUE`; for a random search also `NAME=LOW..HIGH` and `NAME=log:LOW..HIGH`.
    ///
    /// # Errors
    /// When there is no such setting, or it has no such values.
    pub(super) fn parse(text: &str, search: Search, model: &Model) -> Result<Axis, SweepError> {
        let (name, values) = text.split_once('=').ok_or_else(|| SweepError::Syntax { text: text.to_owned() })?;
        let setting = SweepSetting::named(name.trim(), model)?;
        let values = values.trim();
        let space = match values.contains("..") {
            true if search == Search::Grid => {
                let rule = format!("a list of values: a range is for {}", crate::setting::Setting("random"));
                return Err(setting.refuse(values, rule));
            }
            true => range(&setting, values)?,
            false => Space::Choice(choice(&setting, values)?),
        };
        Ok(Axis { setting, space })
    }

    /// How many values a grid has of it; 1 where they are drawn.
    pub(super) fn values(&self) -> usize {
        match &self.space {
            Space::Choice(values) => values.len(),
            Space::Real { .. } | Space::Whole { .. } => 1,
        }
    }

    /// The value in random trial `trial`: it depends on the seed, the trial and the setting's name, not on what else is
    /// searched, nor on how many trials there are. Real numbers have few digits, so that tables show what was trained.
    pub(super) fn draw(&self, seed: u64, trial: u64) -> Value {
        let name = self.setting.name.bytes().map(u64::from);
        let mut random = SplitMix64::keyed(&[seed, trial].into_iter().chain(name).collect::<Vec<_>>());
        match &self.space {
            Space::Choice(values) => values[random.below(values.len())].clone(),
            &Space::Real { low, high, log } => {
                let drawn = between(low, high, log, unit(&mut random));
                // Steps of a thousandth of the range, or of the number where the logarithm is drawn, or less.
                let width = if log { drawn * (high / low).ln().min(1.0) } else { high - low };
                let decimals = (3.0 - width.log10().floor()).clamp(0.0, MOST_DECIMALS) as usize;
                let rounded: f64 = format!("{drawn:.decimals$}").parse().unwrap_or(drawn);
                Value::from(rounded.clamp(low, high))
            }
            // Half a number beyond each bound, which then is as likely as its neighbours.
            &Space::Whole { low, high, log: true } => {
                let drawn = between(low as f64 - 0.5, high as f64 + 0.5, true, unit(&mut random));
                Value::from((drawn.round() as u64).clamp(low, high))
            }
            &Space::Whole { low, high, log: false } => {
                Value::from(low + random.below(((high - low) as usize).saturating_add(1)) as u64)
            }
        }
    }

    /// Whether a picture shows the setting to a logarithmic scale: where values are drawn so, and where given ones are
    /// above 0 and reach over a factor of ten.
    pub(super) fn is_log(&self) -> bool {
        match &self.space {
            Space::Real { log, .. } | Space::Whole { log, .. } => *log,
            Space::Choice(values) => {
                let numbers: Option<Vec<f64>> = values.iter().map(Value::as_f64).collect();
                let numbers = numbers.unwrap_or_default();
                let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
                least > 0.0 && numbers.iter().any(|number| *number >= 10.0 * least)
            }
        }
    }
}

/// A number in [0, 1), a multiple of 2^-53.
fn unit(random: &mut SplitMix64) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// The number at the share `share` of the way from `low` to `high`.
fn between(low: f64, high: f64, log: bool, share: f64) -> f64 {
    match log {
        false => low + share * (high - low),
        true => low * (high / low).powf(share),
    }
}

/// A finite number.
fn real(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Reads `LOW..HIGH` or `log:LOW..HIGH`.
fn range(setting: &SweepSetting, text: &str) -> Result<Space, SweepError> {
    let bad = |rule: &str| setting.refuse(text, rule.to_owned());
    let (log, bounds) = text.strip_prefix("log:").map_or((false, text), |bounds| (true, bounds));
    let (low, high) = bounds.split_once("..").unwrap_or((bounds, ""));
    let (low, high) = (low.trim(), high.trim());
    let space = match setting.kind {
        Some(Kind::Whole) => match (low.parse(), high.parse()) {
            (Ok(low), Ok(high)) => Space::Whole { low, high, log },
            _ => return Err(bad("a range of whole numbers, such as `16..128` or `log:16..128`")),
        },
        Some(Kind::Real) | None => match (real(low), real(high)) {
            (Some(low), Some(high)) => Space::Real { low, high, log },
            _ => return Err(bad("a range of numbers, such as `0..0.2` or `log:1e-4..1e-1`")),
        },
        Some(_) => return Err(bad("a list of values: it has no numbers")),
    };
    let (low, high) = match space {
        Space::Whole { low, high, .. } => (low as f64, high as f64),
        Space::Real { low, high, .. } => (low, high),
        Space::Choice(_) => (0.0, 1.0),
    };
    match (low < high, log && low <= 0.0) {
        (false, _) => Err(bad("a range from a smaller to a larger number")),
        (_, true) => Err(bad("a range above 0, where it is drawn in the logarithm")),
        _ => Ok(space),
    }
}

/// Reads values between commas, each of them another.
fn choice(setting: &SweepSetting, text: &str) -> Result<Vec<Value>, SweepError> {
    let mut values: Vec<Value> = Vec::new();
    let has_numbers = setting.kind != Some(Kind::Text);
    for piece in pieces(text, has_numbers) {
        let value = setting.value(piece.trim())?;
        if values.contains(&value) {
            return Err(setting.refuse(piece, "another value: it is given twice".to_owned()));
        }
        values.push(value);
    }
    Ok(values)
}

/// What stands between commas. No piece ends within brackets, or before an attribute such as `weight_decay=0.1`, or,
/// where no value is a number, before one: these belong to the optimizer or schedule before them.
fn pieces(text: &str, has_numbers: bool) -> Vec<&str> {
    let is_attribute = |rest: &str| {
        let is_item = !has_numbers && rest.trim_start().starts_with(|first: char| first.is_ascii_digit());
        is_item || rest.find([':', '=', '/', ',']).is_some_and(|at| rest[at..].starts_with('='))
    };
    let (mut found, mut begin, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, letter) in text.char_indices() {
        match letter {
            '[' => depth += 1,
            ']' => depth -= 1,
            ',' if depth == 0 && !is_attribute(&text[at + 1..]) => {
                found.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    found.push(&text[begin..]);
    found
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn a_comma_parts_values_but_not_the_attributes_of_one() {
        for (text, want) in [
            ("1e-3,3e-3", &["1e-3", "3e-3"][..]),
            ("adam,sgd:momentum=0.9,weight_decay=5e-4,lion", &["adam", "sgd:momentum=0.9,weight_decay=5e-4", "lion"]),
            (
                "warmup:steps=5,start_factor=0.1/cosine,step:step_size=3,gamma=0.5",
                &["warmup:steps=5,start_factor=0.1/cosine", "step:step_size=3,gamma=0.5"],
            ),
            ("[1,2],[3,4]", &["[1,2]", "[3,4]"]),
            ("a", &["a"]),
            ("a,,b", &["a", "", "b"]),
        ] {
            assert_eq!(pieces(text, true), want);
        }
        let text = "multistep:milestones=3,5,gamma=0.5,step:step_size=3,constant";
        assert_eq!(pieces(text, false), ["multistep:milestones=3,5,gamma=0.5", "step:step_size=3", "constant"]);
    }
}
