//! What may be set of what is written as a name with attributes, such as an optimizer: each attribute stands once, with its
//! default, its range and what it is.

mod listing;
mod text;

pub use listing::Listing;
pub(crate) use listing::named_values;
pub(crate) use text::{excerpt, read_attributes};

use serde::{Deserialize, Serialize};
use std::fmt;

/// An attribute of an optimizer, a schedule or the like. Its row checks what is given, and writes the help and the documentation.
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
    /// A whole number between these, both included.
    Count(u64, [u64; 2]),
    /// A number in a range.
    Number(f64, Range),
    /// Two numbers, each in the range.
    Pair([f64; 2], Range),
    /// One of these words, the first where none is given.
    Word(&'static [&'static str]),
    /// A number in a range, which must be given.
    Needed(Range),
    /// A number of steps, at least so many, which must be given. A run may be told it in epochs.
    Steps(u64),
    /// A number of steps, this where none is given, and at least so many. A run may be told it in epochs.
    StepsOr(u64, u64),
    /// A number of steps; in a run, up to its end where none is given; else this, or it must be given.
    StepsToEnd(Option<u64>),
    /// A list of numbers of steps, which must be given.
    StepList,
    /// A rate: in a run, the run's where none is given; else it must be given.
    Rate,
}

/// Where a number must lie. All of them are finite as f32, in which the kernels compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Anywhere.
    Finite,
    /// 0 or above.
    NotNegative,
    /// Above 0.
    Positive,
    /// 0 or above, and below 1.
    BelowOne,
    /// From 0 to 1.
    UpToOne,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// Of [`Takes::Flag`].
    Flag(bool),
    /// Of [`Takes::Count`], and of numbers of steps.
    Count(u64),
    /// Of [`Takes::StepList`].
    Counts(Vec<u64>),
    /// Of [`Takes::Number`], and of rates.
    Number(f64),
    /// Of [`Takes::Pair`].
    Pair([f64; 2]),
    /// Of [`Takes::Word`].
    Word(&'static str),
}

/// A value as it is written, before anybody knows what the attribute takes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Given {
    Flag(bool),
    Count(u64),
    Number(f64),
    Counts(Vec<u64>),
    Numbers(Vec<f64>),
    Word(String),
}

impl Given {
    pub(crate) fn of(value: &serde_json::Value) -> Given {
        serde_json::from_value(value.clone()).unwrap_or_else(|_| Given::Word(value.to_string()))
    }

    fn number(&self) -> Option<f64> {
        match *self {
            Given::Count(count) => Some(count as f64),
            Given::Number(number) => Some(number),
            _ => None,
        }
    }

    /// A count, also where a writer of JSON made `30.0` of `30`.
    fn count(&self) -> Option<u64> {
        /// From here on f64 skips whole numbers.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match *self {
            Given::Count(count) => Some(count),
            Given::Number(number) => (number.fract() == 0.0 && (0.0..EXACT).contains(&number)).then_some(number as u64),
            _ => None,
        }
    }

    fn numbers(&self) -> Option<Vec<f64>> {
        match self {
            Given::Counts(counts) => Some(counts.iter().map(|&count| count as f64).collect()),
            Given::Numbers(numbers) => Some(numbers.clone()),
            _ => None,
        }
    }
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
            Range::Positive => finite && value > 0.0,
            Range::BelowOne => (0.0..1.0).contains(&value),
            Range::UpToOne => (0.0..=1.0).contains(&value),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Range::Finite => "a finite number",
            Range::NotNegative => "a finite number of at least 0",
            Range::Positive => "a finite number above 0",
            Range::BelowOne => "a number of at least 0 and below 1",
            Range::UpToOne => "a number from 0 to 1",
        })
    }
}

impl Takes {
    /// The value where none is given, if there is one.
    pub fn default_value(self) -> Option<AttributeValue> {
        match self {
            Takes::Flag(flag) => Some(AttributeValue::Flag(flag)),
            Takes::Count(count, _) | Takes::StepsOr(count, _) | Takes::StepsToEnd(Some(count)) => {
                Some(AttributeValue::Count(count))
            }
            Takes::Number(number, _) => Some(AttributeValue::Number(number)),
            Takes::Pair(pair, _) => Some(AttributeValue::Pair(pair)),
            Takes::Word(words) => words.first().map(|word| AttributeValue::Word(word)),
            Takes::Needed(_) | Takes::Steps(_) | Takes::StepsToEnd(None) | Takes::StepList | Takes::Rate => None,
        }
    }

    /// What holds in a run where none is given, in words.
    pub fn default_text(self) -> String {
        match self {
            Takes::StepsToEnd(_) => "to the end of the run".to_owned(),
            Takes::Rate => "lr".to_owned(),
            Takes::Number(number, _) if number == 1.0 / 3.0 => "1/3".to_owned(),
            _ => self.default_value().map_or_else(|| "must be given".to_owned(), |value| value.to_string()),
        }
    }

    /// What a run may write.
    pub fn describe(self) -> String {
        match self {
            Takes::Steps(_) | Takes::StepsOr(..) | Takes::StepsToEnd(_) => {
                "steps, such as 500, or epochs, such as 30epochs".to_owned()
            }
            Takes::StepList => "a list of steps or epochs, such as 3,5 or 10epochs,20epochs".to_owned(),
            _ => self.to_string(),
        }
    }

    /// The value that is given, if it is one of these.
    pub(crate) fn read(self, given: &Given) -> Option<AttributeValue> {
        let number = |range: Range| given.number().filter(|&number| range.holds(number)).map(AttributeValue::Number);
        let count = |least: u64, most: u64| {
            given.count().filter(|count| (least..=most).contains(count)).map(AttributeValue::Count)
        };
        match (self, given) {
            (Takes::Flag(_), Given::Flag(flag)) => Some(AttributeValue::Flag(*flag)),
            (Takes::Count(_, [least, most]), _) => count(least, most),
            (Takes::Steps(least) | Takes::StepsOr(_, least), _) => count(least, u64::MAX),
            (Takes::StepsToEnd(_), _) => count(1, u64::MAX),
            (Takes::Number(_, range) | Takes::Needed(range), _) => number(range),
            (Takes::Rate, _) => number(Range::NotNegative),
            (Takes::StepList, Given::Counts(counts)) => Some(AttributeValue::Counts(counts.clone())),
            (Takes::StepList, Given::Numbers(numbers)) => {
                let counts = numbers.iter().map(|&number| Given::Number(number).count());
                counts.collect::<Option<_>>().map(AttributeValue::Counts)
            }
            // A single number stands for a list of one.
            (Takes::StepList, _) => given.count().map(|count| AttributeValue::Counts(vec![count])),
            (Takes::Pair(_, range), _) => {
                let pair: [f64; 2] = given.numbers()?.try_into().ok()?;
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
            Takes::Count(_, [least, u64::MAX]) | Takes::Steps(least) | Takes::StepsOr(_, least) => {
                write!(f, "a whole number of at least {least}")
            }
            Takes::Count(_, [least, most]) => write!(f, "a whole number from {least} to {most}"),
            Takes::StepsToEnd(_) => f.write_str("a whole number of at least 1"),
            Takes::StepList => f.write_str("a list of whole numbers"),
            Takes::Number(_, range) | Takes::Needed(range) => write!(f, "{range}"),
            Takes::Rate => write!(f, "{}", Range::NotNegative),
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
            AttributeValue::Number(number) => f.write_str(&number_text(*number)),
            AttributeValue::Pair(pair) => f.write_str(&pair.map(number_text).join("+")),
            AttributeValue::Counts(counts) => {
                f.write_str(&counts.iter().map(u64::to_string).collect::<Vec<_>>().join("+"))
            }
            AttributeValue::Word(word) => f.write_str(word),
        }
    }
}

/// `{}` gives 100 where `{:?}` gives 100.0, and `{:?}` 1e-8 where `{}` gives 0.00000001.
pub(crate) fn number_text(number: f64) -> String {
    match number.fract() == 0.0 && number.abs() < 1e15 {
        true => format!("{number}"),
        false => format!("{number:?}"),
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |numbers: &[f64]| numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        f.write_str(&excerpt(&match self {
            Given::Flag(flag) => flag.to_string(),
            Given::Count(count) => count.to_string(),
            Given::Number(number) => number.to_string(),
            Given::Counts(_) | Given::Numbers(_) => format!("[{}]", list(&self.numbers().unwrap_or_default())),
            Given::Word(word) => format!("{word:?}"),
        }))
    }
}

/// The values of attributes, each in its range.
#[derive(Clone, Debug)]
pub struct Values {
    rows: &'static [Attribute],
    /// In the order of the rows; `None` for what must be given and is not yet.
    values: Vec<Option<AttributeValue>>,
}

impl PartialEq for Values {
    fn eq(&self, other: &Values) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Values {
    /// The defaults.
    pub(crate) fn of(rows: &'static [Attribute]) -> Values {
        Values { rows, values: rows.iter().map(|row| row.takes.default_value()).collect() }
    }

    /// The defaults, with what a text such as `gamma=2,alpha=0.25` says.
    ///
    /// # Errors
    /// What is wrong with the text, or with the first attribute that is.
    pub(crate) fn read(rows: &'static [Attribute], list: &str) -> Result<Values, String> {
        let mut values = Values::of(rows);
        for (name, value) in read_attributes(list)? {
            let given = Given::of(&value);
            let Some((row, slot)) = values.find(&name) else {
                return Err(format!("it has no attribute `{}`", excerpt(&name)));
            };
            let wrong = || format!("{name} is {given}, but must be {}", row.takes);
            *slot = Some(row.takes.read(&given).ok_or_else(wrong)?);
        }
        Ok(values)
    }

    /// Name and value of each, in the order of the rows.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &AttributeValue)> {
        let named = self.rows.iter().map(|row| row.name).zip(&self.values);
        named.filter_map(|(name, value)| value.as_ref().map(|value| (name, value)))
    }

    /// The row of that name with its value, to be set.
    pub(crate) fn find(&mut self, name: &str) -> Option<(&'static Attribute, &mut Option<AttributeValue>)> {
        self.rows.iter().zip(&mut self.values).find(|(row, _)| row.name == name)
    }

    /// The first that must be given and is not.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        let named = self.rows.iter().zip(&self.values);
        named.filter(|(_, value)| value.is_none()).map(|(row, _)| row.name).next()
    }

    /// The value of that name, where there is such an attribute.
    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The flag of that name; false where none is declared.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(AttributeValue::Flag(true)))
    }

    /// The count or number of steps of that name; 0 where none is declared.
    pub fn count(&self, name: &str) -> u64 {
        if let Some(&AttributeValue::Count(count)) = self.get(name) { count } else { 0 }
    }

    /// The list of steps of that name; empty where none is declared.
    pub fn counts(&self, name: &str) -> &[u64] {
        if let Some(AttributeValue::Counts(counts)) = self.get(name) { counts } else { &[] }
    }

    /// The number or rate of that name; 0 where none is declared.
    pub fn number(&self, name: &str) -> f64 {
        if let Some(&AttributeValue::Number(number)) = self.get(name) { number } else { 0.0 }
    }

    /// The pair of that name; zeros where none is declared.
    pub fn pair(&self, name: &str) -> [f64; 2] {
        if let Some(&AttributeValue::Pair(pair)) = self.get(name) { pair } else { [0.0; 2] }
    }

    /// The word of that name; empty where none is declared.
    pub fn word(&self, name: &str) -> &'static str {
        if let Some(&AttributeValue::Word(word)) = self.get(name) { word } else { "" }
    }
}
