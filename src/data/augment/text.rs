//! Changes as they are written: names with attributes, with commas between them.

use super::{Augmentations, FORMS, Named, Stage};
use crate::attribute::{excerpt, named_values};
use crate::setting::as_text;
use std::fmt;
use std::str::FromStr;

impl fmt::Display for Augmentations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> =
            self.0.iter().map(|named| named_values(named.form.listing.name, &named.values)).collect();
        f.write_str(&texts.join(","))
    }
}

impl fmt::Debug for Augmentations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Augmentations({self})")
    }
}

impl PartialEq for Augmentations {
    fn eq(&self, other: &Augmentations) -> bool {
        let same = |(a, b): (&Named, &Named)| a.form.listing.name == b.form.listing.name && a.values == b.values;
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }
}

/// A list of changes that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no change to images that can stand there: {reason}")]
pub struct AugmentError {
    /// The change, as it is written.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl FromStr for Augmentations {
    type Err = AugmentError;

    /// Brackets around all of it, which a list of such lists needs, say nothing.
    fn from_str(text: &str) -> Result<Self, AugmentError> {
        let inner = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).trim();
        let mut all: Vec<Named> = Vec::new();
        for piece in pieces(inner) {
            let (name, list) = piece.split_once(':').unwrap_or((piece, ""));
            let refuse = |reason: String| AugmentError { text: excerpt(piece), reason };
            let form = FORMS.iter().find(|form| form.listing.name == name.trim());
            let form = form.ok_or_else(|| refuse(format!("known are {}", known())))?;
            let named = form
                .read(list)
                .map_err(|reason| refuse(format!("{reason}; write it like `{}`", form.listing.text())))?;
            if all.iter().any(|other| other.form.listing.name == name.trim()) {
                return Err(refuse("it is given twice".to_owned()));
            }
            if let Some(other) = all.last().filter(|other| other.form.stage > form.stage) {
                let (name, when) = (other.form.listing.name, other.form.stage);
                return Err(refuse(format!("it must come before `{name}`, which is done to {when}")));
            }
            all.push(named);
        }
        match all.is_empty() && !inner.is_empty() {
            true => Err(AugmentError { text: excerpt(inner), reason: format!("known are {}", known()) }),
            false => Ok(Augmentations(all)),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Bytes => "pixels as they are",
            Stage::Normalized => "normalised images",
            Stage::Batch => "all images of a batch together",
        })
    }
}

fn known() -> String {
    FORMS.iter().map(|form| form.listing.name).collect::<Vec<_>>().join(", ")
}

/// The changes of a list: a comma before `name=`, or before what is no name, goes on with the attributes of the one before.
fn pieces(list: &str) -> Vec<&str> {
    let begins = |rest: &str| {
        let rest = rest.trim_start();
        let name = rest.find([':', '=', ',']).map_or("", |at| &rest[at..]);
        rest.starts_with(char::is_alphabetic) && !name.starts_with('=')
    };
    let mut found = Vec::new();
    let mut first = 0;
    for (at, _) in list.match_indices(',').filter(|(at, _)| begins(&list[at + 1..])) {
        found.push(list[first..at].trim());
        first = at + 1;
    }
    found.push(list[first..].trim());
    found.retain(|piece| !piece.is_empty());
    found
}

as_text!(Augmentations, AugmentError);
