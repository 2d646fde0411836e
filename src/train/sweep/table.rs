//! What the trials of a sweep have come to, and `trials.csv`, which holds it.

use super::super::TrainError;
use super::super::run_folder::write_table;
use super::setting::text;
use super::{SweepError, Trial};
use serde::Serialize;
use std::cmp::Ordering;
use std::fmt;
use std::path::Path;

/// What a trial has come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrialResult {
    /// Counted from 1.
    pub number: usize,
    /// Epochs that are done.
    pub epochs: u64,
    /// On the test images after the last of them, from 0 to 1.
    pub test_accuracy: Option<f64>,
    /// Mean cross-entropy there, in nats.
    pub test_loss: Option<f64>,
    /// On the validation images, where the data have some; the test images are then for trials that are done.
    pub validation_accuracy: Option<f64>,
    /// Mean cross-entropy there, in nats.
    pub validation_loss: Option<f64>,
    /// Spent on the epochs and their tests.
    pub seconds: f64,
    /// Where it stands.
    pub status: Status,
    /// Why it failed.
    pub reason: Option<String>,
}

/// Where a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It has not begun, or has epochs left.
    Waiting,
    /// All epochs are done.
    Done,
    /// Others were better after as many epochs.
    Halted,
    /// It cannot go on; `reason` says why.
    Failed,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Waiting => "waiting",
            Status::Done => "done",
            Status::Halted => "halted",
            Status::Failed => "failed",
        })
    }
}

impl TrialResult {
    /// A trial that has not begun.
    pub fn new(number: usize) -> Self {
        TrialResult {
            number,
            epochs: 0,
            test_accuracy: None,
            test_loss: None,
            validation_accuracy: None,
            validation_loss: None,
            seconds: 0.0,
            status: Status::Waiting,
            reason: None,
        }
    }

    /// Accuracy on the images that decide: those for validation, else those for testing.
    pub fn accuracy(&self) -> Option<f64> {
        self.validation_accuracy.or(self.test_accuracy)
    }

    /// Loss on the images that decide.
    pub fn loss(&self) -> Option<f64> {
        self.validation_loss.or(self.test_loss)
    }

    /// Whether nothing is left to do for it.
    pub fn is_over(&self) -> bool {
        self.status != Status::Waiting
    }

    /// Whether it has been measured, and with a result that is a number.
    pub fn is_sound(&self) -> bool {
        let is_number = |value: Option<f64>| value.is_some_and(f64::is_finite);
        self.status != Status::Failed && is_number(self.accuracy()) && is_number(self.loss())
    }

    /// The better first: one with all its epochs, then the higher accuracy, the lower loss, the lower number.
    pub fn compare(&self, other: &TrialResult) -> Ordering {
        let key = |result: &TrialResult| {
            let accuracy = result.accuracy().unwrap_or(-1.0);
            let loss = result.loss().filter(|loss| !loss.is_nan()).unwrap_or(f64::INFINITY);
            (result.status != Status::Done, -accuracy, loss)
        };
        let ((late, accuracy, loss), (other_late, other_accuracy, other_loss)) = (key(self), key(other));
        let order = late.cmp(&other_late).then(accuracy.total_cmp(&other_accuracy));
        order.then(loss.total_cmp(&other_loss)).then(self.number.cmp(&other.number))
    }
}

/// Columns after those of the settings.
const RESULTS: [&str; 8] = [
    "epochs_done",
    "test_accuracy",
    "test_loss",
    "validation_accuracy",
    "validation_loss",
    "seconds",
    "status",
    "reason",
];

/// Writes the table: a row for each trial that has begun.
///
/// # Errors
/// When it cannot be written; the one before is then kept.
pub(super) fn write(path: &Path, trials: &[Trial], results: &[TrialResult]) -> Result<(), TrainError> {
    let names = trials.iter().take(1).flat_map(|trial| trial.settings.iter().map(|(name, _)| name.clone()));
    let titles = std::iter::once("trial".to_owned()).chain(names).chain(RESULTS.map(str::to_owned)).collect();
    let row = |(trial, result): (&Trial, &TrialResult)| {
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let mut row = vec![trial.number.to_string()];
        row.extend(trial.settings.iter().map(|(_, value)| text(value)));
        row.extend([
            result.epochs.to_string(),
            number(result.test_accuracy),
            number(result.test_loss),
            number(result.validation_accuracy),
            number(result.validation_loss),
            format!("{:.3}", result.seconds),
            result.status.to_string(),
            result.reason.clone().unwrap_or_default(),
        ]);
        row
    };
    let begun = |(_, result): &(&Trial, &TrialResult)| result.is_over() || result.epochs > 0;
    let rows = trials.iter().zip(results).filter(begun).map(row);
    write_table(path, std::iter::once::<Vec<String>>(titles).chain(rows))
}

/// Reads the table, if there is one: a result for each of `trials` trials. One without a row has not begun.
///
/// # Errors
/// When it cannot be read, or a row is none of this sweep's.
pub(super) fn read(path: &Path, trials: &[Trial]) -> Result<Vec<TrialResult>, SweepError> {
    let mut results: Vec<TrialResult> = (1..=trials.len()).map(TrialResult::new).collect();
    if !path.exists() {
        return Ok(results);
    }
    let unreadable = |reason: String| SweepError::Unreadable { path: path.to_owned(), reason };
    let mut reader = csv::Reader::from_path(path).map_err(|reason| unreadable(reason.to_string()))?;
    for (index, row) in reader.records().enumerate() {
        let row = row.map_err(|reason| unreadable(reason.to_string()))?;
        let result = result(&row, trials).ok_or_else(|| {
            unreadable(format!("row {} is no trial of this sweep: without the row, its trial is run anew", index + 1))
        })?;
        let place = result.number - 1;
        results[place] = result;
    }
    Ok(results)
}

/// The result in a row, where it has the settings of its trial.
fn result(row: &csv::StringRecord, trials: &[Trial]) -> Option<TrialResult> {
    let number: usize = row.get(0)?.parse().ok()?;
    let trial = trials.get(number.checked_sub(1)?)?;
    let settings: Vec<String> = trial.settings.iter().map(|(_, value)| text(value)).collect();
    let (own, results) = (row.iter().skip(1).take(settings.len()), row.iter().skip(1 + settings.len()));
    if !own.eq(settings.iter().map(String::as_str)) {
        return None;
    }
    let [epochs, test_accuracy, test_loss, accuracy, loss, seconds, status, reason] =
        results.collect::<Vec<_>>().try_into().ok()?;
    let optional = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
    let known = [Status::Waiting, Status::Done, Status::Halted, Status::Failed];
    Some(TrialResult {
        number,
        epochs: epochs.parse().ok()?,
        test_accuracy: optional(test_accuracy)?,
        test_loss: optional(test_loss)?,
        validation_accuracy: optional(accuracy)?,
        validation_loss: optional(loss)?,
        seconds: seconds.parse().ok()?,
        status: known.into_iter().find(|known| known.to_string() == status)?,
        reason: (!reason.is_empty()).then(|| reason.to_owned()),
    })
}
