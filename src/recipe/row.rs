//! What a setting's row has: its kind of value, what the value must be, and how it is read and set.

use super::{Precision, RunSteps, TrainConfig};
use crate::data::{
    Augmentations, ClassMatching, Damaged, Fold, ImageSize, Interpolation, MemorySize, Normalize, Sampler, Source,
};
use crate::optim::schedule::RunSchedule;
use crate::optim::{ClassWeights, Exclude, LossFunction, Optimizer, ParameterGroup, RunAverage};
use crate::path_text;
use serde_json::{Map, Number, Value};
use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// A setting of training.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its key in a recipe.
    pub name: &'static str,
    /// What a number counts or measures, as `IMAGES`; of a text, what it is, as `SOURCE`.
    pub unit: &'static str,
    /// What kind of value it has.
    pub kind: Kind,
    /// What its value must be.
    pub range: Range,
    /// What it belongs to.
    pub topic: Topic,
    /// Whether a sweep can vary it: not what decides which images there are, and no list.
    pub varies: bool,
    /// What it does, in a line. Another setting stands there in braces, as `{init}`.
    pub about: &'static str,
    /// What else there is to say.
    pub more: &'static str,
    /// What holds where nothing is given, if the default value does not say it.
    pub otherwise: &'static str,
    /// Its values one by one, where they are long to list.
    pub listed: Option<fn() -> String>,
    pub(super) get: fn(&TrainConfig) -> Option<SettingValue>,
    pub(super) set: fn(&mut TrainConfig, &SettingValue) -> Result<(), String>,
    pub(super) check: fn(&SettingValue) -> Result<(), String>,
}

/// The kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Whole,
    /// Any number.
    Real,
    /// True or false.
    Flag,
    /// A text with a form of its own.
    Text,
    /// The path of a file or folder.
    Path,
    /// Texts, each set on its own.
    List,
}

/// A value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingValue {
    /// Of [`Kind::Whole`].
    Whole(u64),
    /// Of [`Kind::Real`].
    Real(f64),
    /// Of [`Kind::Flag`].
    Flag(bool),
    /// Of [`Kind::Text`], [`Kind::Path`], or one of [`Kind::List`].
    Text(String),
}

/// The text that leaves a setting without a value.
const NONE: &str = "none";

/// What settings belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Which images there are, and what becomes of them.
    Data,
    /// The network and what it starts from.
    Model,
    /// How it is trained.
    Training,
    /// What is kept of the run.
    Run,
}

/// A condition on a value, and how it is said after "must be".
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub(super) holds: fn(f64) -> bool,
    /// After "must be".
    pub rule: &'static str,
}

impl Row {
    pub(super) const fn more(self, more: &'static str) -> Row {
        Row { more, ..self }
    }

    pub(super) const fn otherwise(self, otherwise: &'static str) -> Row {
        Row { otherwise, ..self }
    }

    pub(super) const fn listed(self, listed: fn() -> String) -> Row {
        Row { listed: Some(listed), ..self }
    }

    pub(super) const fn fixed(self) -> Row {
        Row { varies: false, ..self }
    }

    /// Reads a value of its kind.
    ///
    /// # Errors
    /// Why it is none: of a number or a flag what it must be, of a text what is wrong with it.
    pub fn read(&self, text: &str) -> Result<SettingValue, String> {
        let value = self.kind.read(text)?;
        (self.check)(&value)?;
        Ok(value)
    }

    /// Its value, if it has one.
    pub fn get(&self, config: &TrainConfig) -> Option<SettingValue> {
        (self.get)(config)
    }

    /// Sets it to a value that it has [read](Row::read); adds it to a list.
    ///
    /// # Errors
    /// When the value is not of its kind.
    pub fn set(&self, config: &mut TrainConfig, value: &SettingValue) -> Result<(), String> {
        (self.set)(config, value)
    }

    /// What a configuration has that is out of its range.
    pub(super) fn refused(&self, config: &TrainConfig) -> Option<SettingValue> {
        let is_out = |value: &SettingValue| match *value {
            SettingValue::Whole(count) => !(self.range.holds)(count as f64),
            SettingValue::Real(number) => !(self.range.holds)(number),
            SettingValue::Flag(_) | SettingValue::Text(_) => false,
        };
        self.get(config).filter(is_out)
    }

    /// `about` or `more`, with each setting that it names as `spell` has it.
    pub fn spelled(text: &str, spell: impl Fn(&str) -> String) -> String {
        let mut pieces = text.split('{');
        let mut told = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once('}').unwrap_or((piece, ""));
            told += &spell(name);
            told += rest;
        }
        told
    }
}

impl Kind {
    /// The value of this kind that JSON has.
    pub(crate) fn of_json(self, value: &Value) -> Option<SettingValue> {
        match self {
            Kind::Whole => value.as_u64().map(SettingValue::Whole),
            Kind::Real => value.as_f64().map(SettingValue::Real),
            Kind::Flag => value.as_bool().map(SettingValue::Flag),
            Kind::Text | Kind::Path | Kind::List => value.as_str().map(|text| SettingValue::Text(text.to_owned())),
        }
    }

    /// Reads a value, of which a text may be anything.
    ///
    /// # Errors
    /// What it must be.
    pub fn read(self, text: &str) -> Result<SettingValue, String> {
        let value = match self {
            Kind::Whole => text.parse().ok().map(SettingValue::Whole),
            Kind::Real => text.parse().ok().filter(|value: &f64| value.is_finite()).map(SettingValue::Real),
            Kind::Flag => text.parse().ok().map(SettingValue::Flag),
            Kind::Text | Kind::Path | Kind::List => Some(SettingValue::Text(text.to_owned())),
        };
        value.ok_or_else(|| self.to_string())
    }
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingValue::Whole(value) => value.fmt(f),
            SettingValue::Real(value) => value.fmt(f),
            SettingValue::Flag(value) => value.fmt(f),
            SettingValue::Text(text) => text.fmt(f),
        }
    }
}

impl From<SettingValue> for Value {
    fn from(value: SettingValue) -> Value {
        match value {
            SettingValue::Whole(value) => value.into(),
            SettingValue::Real(value) => value.into(),
            SettingValue::Flag(value) => value.into(),
            SettingValue::Text(text) => text.into(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Whole => "a whole number",
            Kind::Real => "a number",
            Kind::Flag => "true or false",
            Kind::Text => "a text",
            Kind::Path => "a path",
            Kind::List => "a list of texts",
        })
    }
}

/// A field that a row stands for.
pub(super) trait Held: Sized {
    const KIND: Kind;

    fn told(&self) -> Option<SettingValue>;

    fn read(value: &SettingValue) -> Result<Self, String>;

    /// Takes a value in place of its own, or in a list as one more.
    fn accept(&mut self, value: &SettingValue) -> Result<(), String> {
        *self = Self::read(value)?;
        Ok(())
    }
}

macro_rules! number {
    ($type:ty, $kind:ident) => {
        impl Held for $type {
            const KIND: Kind = Kind::$kind;

            fn told(&self) -> Option<SettingValue> {
                Some(SettingValue::$kind(*self as _))
            }

            fn read(value: &SettingValue) -> Result<Self, String> {
                match value {
                    SettingValue::$kind(value) => Ok(*value as _),
                    _ => Err(Kind::$kind.to_string()),
                }
            }
        }
    };
}
number!(usize, Whole);
number!(u64, Whole);
number!(f64, Real);
number!(bool, Flag);

/// What `FromStr` reads and `Display` writes.
macro_rules! texts {
    ($($type:ty),*) => {
        $(impl Held for $type {
            const KIND: Kind = Kind::Text;

            fn told(&self) -> Option<SettingValue> {
                Some(SettingValue::Text(self.to_string()))
            }

            fn read(value: &SettingValue) -> Result<Self, String> {
                value.to_string().parse().map_err(whole)
            }
        })*
    };
}
texts!(
    String,
    Precision,
    RunSteps,
    Source,
    Augmentations,
    Interpolation,
    Normalize,
    ClassMatching,
    Damaged,
    Fold,
    ClassWeights,
    Sampler,
    LossFunction,
    RunAverage,
    RunSchedule,
    Optimizer,
    Exclude,
    ParameterGroup
);

/// An error with what it came from.
fn whole(error: impl Error) -> String {
    match error.source() {
        Some(source) if !error.to_string().contains(&source.to_string()) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

impl Held for (usize, usize) {
    const KIND: Kind = Kind::Text;

    fn told(&self) -> Option<SettingValue> {
        let &(height, width) = self;
        Some(SettingValue::Text(ImageSize { height, width }.to_string()))
    }

    fn read(value: &SettingValue) -> Result<Self, String> {
        value.to_string().parse().map(|ImageSize { height, width }| (height, width))
    }
}

impl Held for MemorySize {
    const KIND: Kind = Kind::Text;

    fn told(&self) -> Option<SettingValue> {
        Some(SettingValue::Text(self.to_string()))
    }

    fn read(value: &SettingValue) -> Result<Self, String> {
        value.to_string().parse()
    }
}

impl Held for PathBuf {
    const KIND: Kind = Kind::Path;

    fn told(&self) -> Option<SettingValue> {
        Some(SettingValue::Text(path_text::to_text(self)))
    }

    fn read(value: &SettingValue) -> Result<Self, String> {
        Ok(path_text::from_text(&value.to_string()))
    }
}

impl<T: Held> Held for Option<T> {
    const KIND: Kind = T::KIND;

    fn told(&self) -> Option<SettingValue> {
        self.as_ref().and_then(T::told)
    }

    fn read(value: &SettingValue) -> Result<Self, String> {
        match value {
            SettingValue::Text(text) if text == NONE => Ok(None),
            _ => T::read(value).map(Some),
        }
    }
}

impl<T: Held> Held for Vec<T> {
    const KIND: Kind = Kind::List;

    fn told(&self) -> Option<SettingValue> {
        None
    }

    fn read(value: &SettingValue) -> Result<Self, String> {
        Ok(vec![T::read(value)?])
    }

    fn accept(&mut self, value: &SettingValue) -> Result<(), String> {
        self.push(T::read(value)?);
        Ok(())
    }
}

/// Reads an attribute of a model: `NAME=VALUE`, the value as JSON where it reads as that, numbers with commas between them as a
/// list, else a text.
///
/// ```
/// use tilewright::recipe::read_attribute;
///
/// assert_eq!(read_attribute("filters=32,64")?, ("filters".to_owned(), vec![32, 64].into()));
/// assert_eq!(read_attribute("activation=relu")?, ("activation".to_owned(), "relu".into()));
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// How it is written.
pub fn read_attribute(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "write it like dropout=0.2".to_owned())?;
    let read = serde_json::from_str(value)
        .or_else(|_| serde_json::from_str::<Vec<Number>>(&format!("[{value}]")).map(Value::from));
    Ok((name.to_owned(), read.unwrap_or_else(|_| Value::from(value))))
}

impl Held for Map<String, Value> {
    const KIND: Kind = Kind::List;

    fn told(&self) -> Option<SettingValue> {
        None
    }

    fn read(value: &SettingValue) -> Result<Self, String> {
        read_attribute(&value.to_string()).map(|attribute| Map::from_iter([attribute]))
    }

    fn accept(&mut self, value: &SettingValue) -> Result<(), String> {
        self.extend(Self::read(value)?);
        Ok(())
    }
}
