//! How often each class counts in a loss, by name or from a file: for data with many images of some classes and few of
//! others.

use super::{Attribute, Listing, Range, Takes, Values};
use crate::attribute::excerpt;
use crate::path_text;
use crate::setting::as_text;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Weights of classes: `balanced`, `effective:beta=0.9999`, or a file with a line `class,weight` for each class.
///
/// ```
/// use tilewright::optim::ClassWeights;
///
/// let classes = ["cat".to_owned(), "dog".to_owned()];
/// assert_eq!(ClassWeights::Balanced.of(&classes, &[30, 10])?, [40.0 / 60.0, 40.0 / 20.0]);
/// # Ok::<(), tilewright::optim::ClassWeightsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ClassWeights {
    /// images / (classes * images of the class), as scikit-learn has it.
    Balanced,
    /// (1 - beta) / (1 - beta^n), n the images of the class, times what makes their mean 1 (Cui et al. 2019).
    Effective {
        /// From 0, where all weights are equal, to below 1, where they come near to those that are balanced.
        beta: f64,
    },
    /// Those of a file.
    File(PathBuf),
}

/// Weights of classes that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum ClassWeightsError {
    #[error(
        "`{text}` gives no weights of classes: {reason}; write balanced, effective:beta=0.9999, or the name of a file"
    )]
    Syntax { text: String, reason: String },
    #[error(
        "`{}` cannot be read: {reason}; weights of classes are balanced, effective, or a file with a line `class,weight` for each class",
        path.display()
    )]
    Unreadable { path: PathBuf, reason: String },
    #[error("line {line} of `{}` {problem}; write the name of a class, a comma, and a number of at least 0", path.display())]
    Line { path: PathBuf, line: u64, problem: String },
    #[error("`{}` has no weight for {}; give each class of the data a line `class,weight`", path.display(), missing.join(", "))]
    Missing { path: PathBuf, missing: Vec<String> },
    #[error("`{}` has only weights of 0: one must be above 0", path.display())]
    AllZero { path: PathBuf },
}

static EFFECTIVE: [Attribute; 1] = [Attribute::new(
    "beta",
    Takes::Number(0.9999, Range::BelowOne),
    "how much: 0 for equal weights; near 1 they are those of balanced",
)];

/// Classes that an error names at most.
const MOST_NAMES: usize = 8;

impl ClassWeights {
    /// What there is besides files.
    pub const FORMS: [Listing; 2] = [
        Listing::new("balanced", &[], "images / (classes * images of the class), as scikit-learn has it"),
        Listing::new(
            "effective",
            &EFFECTIVE,
            "(1 - beta) / (1 - beta^n), n the images of the class, scaled to a mean of 1 (Cui et al. 2019)",
        ),
    ];

    /// The weight of each class, of which the training images have so many. Of a class without an image it is 0, but for
    /// weights of a file.
    ///
    /// # Errors
    /// When the file cannot be read, or lacks a class.
    pub fn of(&self, classes: &[String], counts: &[usize]) -> Result<Vec<f32>, ClassWeightsError> {
        let there = counts.iter().filter(|&&count| count > 0).count() as f64;
        let images = counts.iter().sum::<usize>() as f64;
        let weigh = |weight: &dyn Fn(f64) -> f64| -> Vec<f64> {
            counts.iter().map(|&count| if count == 0 { 0.0 } else { weight(count as f64) }).collect()
        };
        let weights = match self {
            ClassWeights::Balanced => weigh(&|count| images / (there * count)),
            ClassWeights::Effective { beta } => {
                let effective = weigh(&|count| (1.0 - beta) / (1.0 - beta.powf(count)));
                let sum: f64 = effective.iter().sum();
                effective.into_iter().map(|weight| weight * there / sum).collect()
            }
            ClassWeights::File(path) => read(path, classes)?,
        };
        Ok(weights.into_iter().map(|weight| weight as f32).collect())
    }
}

/// The weights of a file, in the order of the classes. Other classes may stand in it too.
fn read(path: &Path, classes: &[String]) -> Result<Vec<f64>, ClassWeightsError> {
    let unreadable = |reason: String| ClassWeightsError::Unreadable { path: path.to_owned(), reason };
    let text = crate::regular_file::read_to_string(path).map_err(|reason| unreadable(reason.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut weights: Vec<Option<f64>> = vec![None; classes.len()];
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |problem: String| ClassWeightsError::Line { path: path.to_owned(), line: number, problem };
        // The name may have commas.
        let Some((class, weight)) = line.rsplit_once(',') else {
            return Err(wrong(format!("is `{}`, which has no comma", excerpt(line))));
        };
        let (class, weight) = (class.trim().trim_matches('"'), weight.trim());
        if number == 1 && (class, weight) == ("class", "weight") {
            continue;
        }
        let value = weight.parse().ok().filter(|value: &f64| (*value as f32).is_finite() && *value >= 0.0);
        let value = value.ok_or_else(|| wrong(format!("has the weight `{}`", excerpt(weight))))?;
        // A name may stand for two classes; both have its weight.
        for (known, slot) in classes.iter().zip(&mut weights).filter(|(known, _)| *known == class) {
            if slot.replace(value).is_some() {
                return Err(wrong(format!("names the class `{}` again", excerpt(known))));
            }
        }
    }
    let missing: Vec<&String> =
        classes.iter().zip(&weights).filter(|(_, weight)| weight.is_none()).map(|(class, _)| class).collect();
    if !missing.is_empty() {
        let mut told: Vec<String> = missing.iter().take(MOST_NAMES).map(|class| format!("`{class}`")).collect();
        told.extend((missing.len() > MOST_NAMES).then(|| format!("{} more", missing.len() - MOST_NAMES)));
        return Err(ClassWeightsError::Missing { path: path.to_owned(), missing: told });
    }
    let weights: Vec<f64> = weights.into_iter().flatten().collect();
    match weights.iter().any(|&weight| weight > 0.0) {
        true => Ok(weights),
        false => Err(ClassWeightsError::AllZero { path: path.to_owned() }),
    }
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClassWeights::Balanced => f.write_str("balanced"),
            ClassWeights::Effective { beta } => write!(f, "effective:beta={beta}"),
            ClassWeights::File(path) => f.write_str(&path_text::to_text(path)),
        }
    }
}

impl FromStr for ClassWeights {
    type Err = ClassWeightsError;

    fn from_str(text: &str) -> Result<Self, ClassWeightsError> {
        let (name, list) = text.split_once(':').unwrap_or((text, ""));
        let syntax = |reason| ClassWeightsError::Syntax { text: excerpt(text), reason };
        Ok(match name.trim() {
            "" => return Err(syntax("it is empty".to_owned())),
            "balanced" => {
                Values::read(&[], list).map_err(syntax)?;
                ClassWeights::Balanced
            }
            "effective" => {
                let values = Values::read(&EFFECTIVE, list).map_err(syntax)?;
                ClassWeights::Effective { beta: values.number("beta") }
            }
            _ => ClassWeights::File(path_text::from_text(text)),
        })
    }
}

as_text!(ClassWeights, ClassWeightsError);

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn every_form_reads_back_as_it_is_written() {
        for form in ClassWeights::FORMS {
            let weights: ClassWeights = form.text().parse().unwrap();
            assert_eq!(form.name.parse::<ClassWeights>().unwrap(), weights, "{form}");
            assert_eq!(weights.to_string(), form.text());
        }
        let file: ClassWeights = "weights/mine.csv".parse().unwrap();
        assert_eq!(
            (file.clone(), file.to_string()),
            (ClassWeights::File("weights/mine.csv".into()), "weights/mine.csv".into())
        );
        for text in ["", "effective:beta=1", "effective:gamma=2", "balanced:beta=0.5"] {
            assert!(text.parse::<ClassWeights>().is_err(), "{text}");
        }
    }

    #[test]
    fn balanced_classes_count_alike_together_and_a_class_without_images_not_at_all() {
        let weights = ClassWeights::Balanced.of(&names("a b c d"), &[60, 30, 10, 0]).unwrap();
        // scikit-learn: n / (k * n_c), k = 3 classes that are there.
        assert_eq!(weights, [100.0 / 180.0, 100.0 / 90.0, 100.0 / 30.0, 0.0].map(|weight: f64| weight as f32));
    }

    #[test]
    fn the_effective_number_of_images_is_that_of_the_paper() {
        let beta: f64 = 0.99;
        let weights = ClassWeights::Effective { beta }.of(&names("a b"), &[100, 5]).unwrap();
        // E_n = (1 - beta^n) / (1 - beta): 63.3968 of 100 images, 4.9010 of 5.
        let [a, b] = [1.0 / 63.396_765_872_677_04, 1.0 / 4.900_995_01];
        for (got, want) in weights.iter().zip([2.0 * a / (a + b), 2.0 * b / (a + b)]) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{weights:?}");
        }
        assert_eq!(ClassWeights::Effective { beta: 0.0 }.of(&names("a b"), &[100, 5]).unwrap(), [1.0, 1.0]);
    }

    #[test]
    fn a_file_has_its_classes_in_any_order_and_errors_name_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.csv");
        let of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            ClassWeights::File(path.clone()).of(&names("cat dog"), &[1, 1]).map_err(|error| error.to_string())
        };
        assert_eq!(of("class,weight\ndog,2\n\ncat,0.5\nfox, 9\n"), Ok(vec![0.5, 2.0]));
        assert_eq!(of("\u{feff}\"cat\", 1\r\ndog,0\r\n"), Ok(vec![1.0, 0.0]));
        for (text, told) in [
            ("cat,1", "has no weight for `dog`"),
            ("cat,1\ndog", "line 2 of"),
            ("cat,1\ndog,-1", "the weight `-1`"),
            ("cat,1\ndog,nan", "the weight `nan`"),
            ("cat,1\ndog,1\ncat,2", "the class `cat` again"),
            ("cat,0\ndog,0", "only weights of 0"),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.contains(told), "{text:?}: {error}");
        }
        std::fs::remove_file(&path).unwrap();
        let error = ClassWeights::File(path).of(&names("cat dog"), &[1, 1]).unwrap_err().to_string();
        assert!(error.contains("balanced, effective, or a file"), "{error}");
    }
}
