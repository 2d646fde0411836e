//! Reads the attributes of a case, and refuses those that nobody asked for.

use super::FixtureError;
use serde_json::{Map, Value};

/// The attributes of a case. Each is asked for by name, with its default.
pub struct Attributes<'a> {
    /// The op, loss or optimizer that they belong to.
    of: &'a str,
    attrs: &'a Map<String, Value>,
    asked: Vec<&'static str>,
}

impl<'a> Attributes<'a> {
    /// Those of `of`, a name for errors.
    pub fn new(of: &'a str, attrs: &'a Map<String, Value>) -> Self {
        Attributes { of, attrs, asked: Vec::new() }
    }

    /// A finite number.
    ///
    /// # Errors
    /// When it is missing and has no default, or is something else; so in all that follow.
    pub fn number(&mut self, name: &'static str, default: Option<f64>) -> Result<f64, FixtureError> {
        self.read(name, default, "a number", |value| value.as_f64().filter(|number| number.is_finite()))
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// As [`Attributes::number`].
    pub fn flag(&mut self, name: &'static str, default: bool) -> Result<bool, FixtureError> {
        self.read(name, Some(default), "true or false", Value::as_bool)
    }

    /// A whole number of at least 0.
    ///
    /// # Errors
    /// As [`Attributes::number`].
    pub fn count(&mut self, name: &'static str, default: Option<usize>) -> Result<usize, FixtureError> {
        self.read(name, default, "a whole number of at least 0", whole)
    }

    /// Whether the case has the attribute.
    pub fn has(&self, name: &str) -> bool {
        self.attrs.contains_key(name)
    }

    /// One of these words.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn word(
        &mut self,
        name: &'static str,
        default: &'static str,
        words: &[&'static str],
    ) -> Result<&'static str, FixtureError> {
        self.read(name, Some(default), &format!("one of {}", words.join(", ")), |value| {
            let word = value.as_str()?;
            words.iter().copied().find(|known| *known == word)
        })
    }

    /// One number for both, or `[vertical, horizontal]`.
    pub fn pair(&mut self, name: &'static str, default: Option<[usize; 2]>) -> Result<[usize; 2], FixtureError> {
        self.read(name, default, "a whole number or a pair of them", |value| match value {
            Value::Array(items) => items.iter().map(whole).collect::<Option<Vec<_>>>()?.try_into().ok(),
            single => whole(single).map(|size| [size; 2]),
        })
    }

    /// A list of whole numbers, or one.
    pub fn list(&mut self, name: &'static str) -> Result<Vec<usize>, FixtureError> {
        self.read(name, None, "a list of whole numbers", |value| match value {
            Value::Array(items) => items.iter().map(whole).collect(),
            single => whole(single).map(|size| vec![size]),
        })
    }

    /// N whole numbers.
    pub fn counts<const N: usize>(&mut self, name: &'static str, expected: &str) -> Result<[usize; N], FixtureError> {
        self.read(name, None, expected, |value| {
            value.as_array()?.iter().map(whole).collect::<Option<Vec<_>>>()?.try_into().ok()
        })
    }

    /// A dimension of a tensor that has `rank` of them; negative ones count from the last.
    pub fn dimension(
        &mut self,
        name: &'static str,
        default: Option<usize>,
        rank: usize,
    ) -> Result<usize, FixtureError> {
        self.read(name, default, "a dimension of the tensor", |value| dimension(value, rank))
    }

    /// A list of dimensions, or one.
    pub fn dimensions(&mut self, name: &'static str, rank: usize) -> Result<Vec<usize>, FixtureError> {
        self.read(name, None, "a list of dimensions of the tensor", |value| match value {
            Value::Array(items) => items.iter().map(|item| dimension(item, rank)).collect(),
            single => dimension(single, rank).map(|dimension| vec![dimension]),
        })
    }

    /// Refuses what was not asked for: a misread attribute would go unseen.
    pub fn finish(self) -> Result<(), FixtureError> {
        match self.attrs.keys().find(|key| !self.asked.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(FixtureError::UnknownAttribute {
                of: self.of.to_owned(),
                attribute: key.clone(),
                known: match self.asked.is_empty() {
                    true => "none".to_owned(),
                    false => self.asked.join(", "),
                },
            }),
        }
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        default: Option<T>,
        expected: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, FixtureError> {
        self.asked.push(name);
        let of = || self.of.to_owned();
        match (self.attrs.get(name), default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(FixtureError::MissingAttribute { of: of(), attribute: name.to_owned() }),
            (Some(value), _) => parse(value).ok_or_else(|| FixtureError::BadAttribute {
                of: of(),
                attribute: name.to_owned(),
                value: value.to_string(),
                expected: expected.to_owned(),
            }),
        }
    }
}

/// A count, also where a writer of JSON made `3.0` of `3`.
fn whole(value: &Value) -> Option<usize> {
    let number = value.as_f64()?;
    ((0.0..=f64::from(u32::MAX)).contains(&number) && number.fract() == 0.0).then_some(number as usize)
}

fn dimension(value: &Value, rank: usize) -> Option<usize> {
    let index = value.as_i64()?;
    let index = if index < 0 { index.checked_add(rank as i64)? } else { index };
    usize::try_from(index).ok().filter(|&index| index < rank)
}
