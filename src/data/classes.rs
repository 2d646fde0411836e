//! The classes of data, held against those of a model: the same names may stand in another order.

use crate::setting::BadSetting;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::DataError;

/// How classes are held against each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassMatching {
    /// Each is the one of the same name, wherever it stands.
    #[default]
    ByName,
    /// Each is the one at the same place, whatever its name.
    ByPosition,
}

/// Why classes cannot be matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassDifference {
    /// How many the model tells apart, and how many the data have.
    pub counts: [usize; 2],
    /// Classes of the model that the data do not have.
    pub missing: Vec<String>,
    /// Classes of the data that the model does not know.
    pub unknown: Vec<String>,
}

/// For each class of the data, its place among the classes of the model; none where all are at their place already.
///
/// # Errors
/// When the classes are not the same; by position, when there are not as many.
pub fn match_classes(
    model: &[String],
    data: &[String],
    matching: ClassMatching,
) -> Result<Option<Vec<u32>>, ClassDifference> {
    if model == data || (matching == ClassMatching::ByPosition && model.len() == data.len()) {
        return Ok(None);
    }
    // A name may stand for two classes, as `crane` does in ImageNet: they are told apart by their order.
    let mut places: HashMap<(&str, usize), usize> =
        numbered(model).into_iter().enumerate().map(|(place, name)| (name, place)).collect();
    let mut unknown = Vec::new();
    let mut mapped = Vec::with_capacity(data.len());
    for name in numbered(data) {
        match places.remove(&name) {
            Some(place) => mapped.push(place as u32),
            None => unknown.push(name.0.to_owned()),
        }
    }
    let mut missing: Vec<usize> = places.into_values().collect();
    missing.sort_unstable();
    if missing.is_empty() && unknown.is_empty() && matching == ClassMatching::ByName {
        return Ok(Some(mapped));
    }
    let missing = missing.into_iter().map(|place| model[place].clone()).collect();
    Err(ClassDifference { counts: [model.len(), data.len()], missing, unknown })
}

/// Whether these are the numbers from 0 on, which stand where no names are known.
pub fn are_numbers(classes: &[String]) -> bool {
    classes.iter().enumerate().all(|(place, class)| *class == place.to_string())
}

/// Each name, with how often it came before.
fn numbered(classes: &[String]) -> Vec<(&str, usize)> {
    let mut seen = HashMap::new();
    let number = |class: &'_ String| -> usize {
        let count = seen.entry(class.clone()).or_insert(0);
        *count += 1;
        *count - 1
    };
    let numbers: Vec<usize> = classes.iter().map(number).collect();
    classes.iter().map(String::as_str).zip(numbers).collect()
}

/// Names that are listed; the others are counted.
const MOST_NAMES: usize = 8;

/// Names of classes for people.
pub(crate) fn listed(names: &[String]) -> String {
    let list: Vec<String> = names.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    match names.len() {
        count if count <= MOST_NAMES => list.join(", "),
        count => format!("{} and {} more", list.join(", "), count - MOST_NAMES),
    }
}

impl fmt::Display for ClassDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [model, data] = self.counts;
        write!(f, "the model tells {model} classes apart and the data have {data}; ")?;
        match (self.missing.is_empty(), self.unknown.is_empty()) {
            (true, _) => write!(f, "the model does not know {}", listed(&self.unknown)),
            (false, true) => write!(f, "the data lack {}", listed(&self.missing)),
            (false, false) => {
                write!(
                    f,
                    "the data lack {}, and the model does not know {}",
                    listed(&self.missing),
                    listed(&self.unknown)
                )
            }
        }
    }
}

impl fmt::Display for ClassMatching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByName => "by-name",
            Self::ByPosition => "by-position",
        })
    }
}

impl FromStr for ClassMatching {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "by-name" => Ok(Self::ByName),
            "by-position" => Ok(Self::ByPosition),
            _ => {
                let expected = "by-name or by-position";
                Err(BadSetting::new("classes", format!("`{text}`"), expected).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_same_names_in_another_order_are_mapped_to_their_places() {
        let by_name = |model, data| match_classes(&names(model), &names(data), ClassMatching::ByName);
        assert_eq!(by_name("a b c", "a b c"), Ok(None));
        assert_eq!(by_name("a b c", "c a b"), Ok(Some(vec![2, 0, 1])));
        assert_eq!(by_name("crane b crane", "b crane crane"), Ok(Some(vec![1, 0, 2])));
    }

    #[test]
    fn other_names_are_listed_and_matched_only_by_position() {
        let difference = match_classes(&names("a b c"), &names("b d c"), ClassMatching::ByName).unwrap_err();
        assert_eq!((&difference.missing, &difference.unknown), (&names("a"), &names("d")));
        assert_eq!(
            difference.to_string(),
            "the model tells 3 classes apart and the data have 3; the data lack `a`, and the model does not know `d`"
        );
        assert_eq!(match_classes(&names("a b c"), &names("b d c"), ClassMatching::ByPosition), Ok(None));
        let fewer = match_classes(&names("a b c"), &names("a b"), ClassMatching::ByPosition).unwrap_err();
        assert_eq!((fewer.counts, fewer.missing, fewer.unknown), ([3, 2], names("c"), names("")));
        assert!(match_classes(&names("a a"), &names("a"), ClassMatching::ByName).is_err());
    }

    #[test]
    fn numbers_from_0_on_are_no_names() {
        assert!(are_numbers(&names("0 1 2 3 4 5 6 7 8 9 10")) && !are_numbers(&names("0 1 10 2")));
    }
}
