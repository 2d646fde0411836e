//! What may be set of a rule: each attribute stands once, with its default, its range and what it is.

use super::attributes::excerpt;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An attribute of an optimizer. Its row checks what is given, and writes the help and the documentation.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// As it is written before `=`.
    pub name: &'static str,
    /// Its values, and the default.
    pub takes: Takes,
    /// What it is, in a few words.
    pub about: &'static str,
}

/// The values of an attribute, and the one that holds where none is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Takes {
    /// True or false.
    Flag(bool),
    /// A whole number up to the second.
    Count(u64, u64),
    /// A number in a range.
    Number(f64, Range),
    /// Two numbers, each in the range.
    Pair([f64; 2], Range),
    /// One of these words, the first where none is given.
    Word(&'static [&'static str]),
}

/// Where a number must lie. All of them are finite as f32, in which the kernels compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Anywhere.
    Finite,
    /// 0 or above.
    NotNegative,
    /// 0 or above, and below 1.
    BelowOne,
}

/// The value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// Of [`Takes::Flag`].
    Flag(bool),
    /// Of [`Takes::Count`].
    Count(u64),
    /// Of [`Takes::Number`].
    Number(f64),
    /// Of [`Takes::Pair`].
    Pair([f64; 2]),
    /// Of [`Takes::Word`].
    Word(&'static str),
}

/// A value as it is written, before anybody knows what the attribute takes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Given {
    Flag(bool),
    Number(f64),
    Numbers(Vec<f64>),
    Word(String),
}

impl Attribute {
    /// A row.
    pub const fn new(name: &'static str, takes: Takes, about: &'static str) -> Attribute {
        Attribute { name, takes, about }
    }

    /// A weight decay with this default.
    pub const fn weight_decay(default: f64) -> Attribute {
        let about = "pulls every parameter towards 0, by this share of it times the rate";
        Attribute::new("weight_decay", Takes::Number(default, Range::NotNegative), about)
    }
}

impl Range {
    fn holds(self, value: f64) -> bool {
        let finite = (value as f32).is_finite();
        match self {
            Range::Finite => finite,
            Range::NotNegative => finite && value >= 0.0,
            Range::BelowOne => (0.0..1.0).contains(&value),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Range::Finite => "a finite number",
            Range::NotNegative => "a finite number of at least 0",
            Range::BelowOne => "in [0, 1)",
        })
    }
}

impl Takes {
    /// The value where none is given.
    pub fn default_value(self) -> AttributeValue {
        match self {
            Takes::Flag(flag) => AttributeValue::Flag(flag),
            Takes::Count(count, _) => AttributeValue::Count(count),
            Takes::Number(number, _) => AttributeValue::Number(number),
            Takes::Pair(pair, _) => AttributeValue::Pair(pair),
            Takes::Word(words) => AttributeValue::Word(words.first().copied().unwrap_or_default()),
        }
    }

    /// The value that is given, if it is one of these.
    pub(super) fn read(self, given: &Given) -> Option<AttributeValue> {
        match (self, given) {
            (Takes::Flag(_), Given::Flag(flag)) => Some(AttributeValue::Flag(*flag)),
            (Takes::Count(_, most), Given::Number(count)) => {
                let is_count = count.fract() == 0.0 && (0.0..=most as f64).contains(count);
                is_count.then_some(AttributeValue::Count(*count as u64))
            }
            (Takes::Number(_, range), Given::Number(number)) => {
                range.holds(*number).then_some(AttributeValue::Number(*number))
            }
            (Takes::Pair(_, range), Given::Numbers(numbers)) => {
                let pair: [f64; 2] = numbers.as_slice().try_into().ok()?;
                pair.iter().all(|&number| range.holds(number)).then_some(AttributeValue::Pair(pair))
            }
            (Takes::Word(words), Given::Word(given)) => {
                words.iter().find(|word| *word == given).map(|word| AttributeValue::Word(word))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Takes {
    /// What it takes, after "must be".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Takes::Flag(_) => f.write_str("true or false"),
            Takes::Count(_, most) => write!(f, "a whole number up to {most}"),
            Takes::Number(_, range) => write!(f, "{range}"),
            Takes::Pair(_, range) => write!(f, "two numbers, each {range}"),
            Takes::Word(words) => f.write_str(&words.join(" or ")),
        }
    }
}

impl fmt::Display for AttributeValue {
    /// As it is written after `=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttributeValue::Flag(flag) => write!(f, "{flag}"),
            AttributeValue::Count(count) => write!(f, "{count}"),
            // `{:?}` gives 1e-8 where `{}` gives 0.00000001.
            AttributeValue::Number(number) => write!(f, "{number:?}"),
            AttributeValue::Pair([first, second]) => write!(f, "{first:?}+{second:?}"),
            AttributeValue::Word(word) => f.write_str(word),
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::Flag(flag) => write!(f, "{flag}"),
            Given::Number(number) => write!(f, "{number}"),
            Given::Numbers(numbers) => write!(f, "{numbers:?}"),
            Given::Word(word) => f.write_str(&excerpt(word)),
        }
    }
}

/// The values of a rule's attributes, each in its range.
#[derive(Clone, Debug)]
pub struct Values {
    rows: &'static [Attribute],
    /// In the order of the rows.
    values: Vec<AttributeValue>,
}

impl PartialEq for Values {
    fn eq(&self, other: &Values) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Values {
    /// The defaults.
    pub(super) fn of(rows: &'static [Attribute]) -> Values {
        Values { rows, values: rows.iter().map(|row| row.takes.default_value()).collect() }
    }

    /// Name and value of each, in the order of the rows.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, AttributeValue)> {
        self.rows.iter().map(|row| row.name).zip(self.values.iter().copied())
    }

    /// The row of that name with its value, to be set.
    pub(super) fn find(&mut self, name: &str) -> Option<(&'static Attribute, &mut AttributeValue)> {
        self.rows.iter().zip(&mut self.values).find(|(row, _)| row.name == name)
    }

    /// The value of that name, where the rule has such an attribute.
    pub fn get(&self, name: &str) -> Option<AttributeValue> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The flag of that name; false where the rule declares none.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(AttributeValue::Flag(true)))
    }

    /// The count of that name; 0 where the rule declares none.
    pub fn count(&self, name: &str) -> u64 {
        if let Some(AttributeValue::Count(count)) = self.get(name) { count } else { 0 }
    }

    /// The number of that name; 0 where the rule declares none.
    pub fn number(&self, name: &str) -> f64 {
        if let Some(AttributeValue::Number(number)) = self.get(name) { number } else { 0.0 }
    }

    /// The pair of that name; zeros where the rule declares none.
    pub fn pair(&self, name: &str) -> [f64; 2] {
        if let Some(AttributeValue::Pair(pair)) = self.get(name) { pair } else { [0.0; 2] }
    }

    /// The word of that name; empty where the rule declares none.
    pub fn word(&self, name: &str) -> &'static str {
        if let Some(AttributeValue::Word(word)) = self.get(name) { word } else { "" }
    }
}
