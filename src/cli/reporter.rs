//! Who hears of a run on the command line.

use serde_json::json;
use std::io::{self, Write};
use tilewright::train::{EpochRow, Reporter, TerminalReporter};

/// Tells people, unless they want none of it, and programs, if they asked for lines of JSON.
pub struct LineReporter {
    pub people: Option<TerminalReporter>,
    /// Each epoch is a line of JSON on standard output: the keys are the columns of epochs.csv.
    pub json_lines: bool,
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

    fn advance(&mut self, done: u64, loss: f64, accuracy: f64, images_per_second: f64) {
        if let Some(people) = &mut self.people {
            people.advance(done, loss, accuracy, images_per_second);
        }
    }

    fn end_epoch(&mut self, row: &EpochRow) {
        if self.json_lines {
            // Who closed the pipe does not want to read on, but the run goes on.
            writeln!(io::stdout(), "{}", json!(row)).ok();
        }
        if let Some(people) = &mut self.people {
            people.end_epoch(row);
        }
    }
}
