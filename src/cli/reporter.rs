//! Who hears of a run on the command line.

use super::sweep::trial_json;
use super::terminal::TerminalReporter;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;
use tilewright::train::sweep::{Trial, TrialResult};
use tilewright::train::{EpochRow, Reporter};

/// What is a line of JSON on standard output as soon as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum JsonLines {
    #[default]
    Nothing,
    /// Each epoch: the keys are the columns of epochs.csv.
    Epochs,
    /// Each trial of a sweep that is over: the keys are those of `trials` in the result.
    Trials,
}

/// Tells people, unless they want none of it, and programs, if they asked for lines of JSON.
pub(crate) struct LineReporter {
    pub people: Option<TerminalReporter>,
    pub json_lines: JsonLines,
}

impl Reporter for LineReporter {
    fn note(&mut self, line: &str) {
        if let Some(people) = &mut self.people {
            people.note(line);
        }
    }

    fn begin(&mut self, title: &str, done: u64, steps: u64) {
        if let Some(people) = &mut self.people {
            people.begin(title, done, steps);
        }
    }

    fn expect(&mut self, left: Duration) {
        if let Some(people) = &mut self.people {
            people.expect(left);
        }
    }

    fn advance(&mut self, done: u64, loss: f64, accuracy: f64, images_per_second: f64) {
        if let Some(people) = &mut self.people {
            people.advance(done, loss, accuracy, images_per_second);
        }
    }

    fn end_epoch(&mut self, row: &EpochRow) {
        if self.json_lines == JsonLines::Epochs {
            write(&json!(row));
        }
        if let Some(people) = &mut self.people {
            people.end_epoch(row);
        }
    }

    fn end_trial(&mut self, trial: &Trial, result: &TrialResult) {
        if self.json_lines == JsonLines::Trials {
            write(&trial_json(trial, result));
        }
    }
}

/// Who closed the pipe does not want to read on, but the run goes on.
fn write(line: &Value) {
    writeln!(io::stdout(), "{line}").ok();
}
