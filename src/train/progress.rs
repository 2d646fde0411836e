//! Tells a person how a run goes: a bar on a terminal, plain lines elsewhere.

use super::run_folder::EpochRow;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Hears of a run as it goes on.
pub trait Reporter {
    /// A line of news.
    fn note(&mut self, line: &str);

    /// What has this title, such as `epoch 1/5`, begins at step `done` of its `steps` steps.
    fn begin(&mut self, title: &str, done: u64, steps: u64);

    /// `done` of these steps are known to have run, at this mean loss and accuracy.
    fn advance(&mut self, done: u64, loss: f64, accuracy: f64, images_per_second: f64);

    fn end_epoch(&mut self, row: &EpochRow);
}

/// Says nothing.
pub struct Silent;

impl Reporter for Silent {
    fn note(&mut self, _: &str) {}
    fn begin(&mut self, _: &str, _: u64, _: u64) {}
    fn advance(&mut self, _: u64, _: f64, _: f64, _: f64) {}
    fn end_epoch(&mut self, _: &EpochRow) {}
}

/// Writes to standard error: a bar when it is a terminal, else a line every few seconds.
pub struct TerminalReporter {
    bar: Option<ProgressBar>,
    is_terminal: bool,
    title: String,
    steps: u64,
    last_line: Instant,
}

/// Time between lines when there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

const BAR: &str = "{prefix} [{bar:30}] {pos}/{len}";
const BAR_WITH_NEWS: &str = "{prefix} [{bar:30}] {pos}/{len} {msg}, {eta} left";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

/// Writes a line; who closed the pipe does not want to read on, but the run goes on.
fn tell(line: fmt::Arguments<'_>) {
    writeln!(io::stderr(), "{line}").ok();
}

impl Default for TerminalReporter {
    fn default() -> Self {
        TerminalReporter {
            bar: None,
            is_terminal: io::stderr().is_terminal(),
            title: String::new(),
            steps: 0,
            last_line: Instant::now(),
        }
    }
}

impl Reporter for TerminalReporter {
    fn note(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => tell(format_args!("{line}")),
        }
    }

    fn begin(&mut self, title: &str, done: u64, steps: u64) {
        title.clone_into(&mut self.title);
        self.steps = steps;
        if self.is_terminal {
            // Nothing is known of loss and time until the first steps are read back.
            let bar = ProgressBar::new(steps).with_position(done).with_style(style(BAR));
            bar.set_prefix(self.title.clone());
            self.bar = Some(bar);
        }
    }

    fn advance(&mut self, done: u64, loss: f64, accuracy: f64, images_per_second: f64) {
        let message = format!("loss {loss:.4}, accuracy {:.2} %, {images_per_second:.0} images/s", 100.0 * accuracy);
        match &self.bar {
            Some(bar) => {
                bar.set_style(style(BAR_WITH_NEWS));
                bar.set_position(done);
                bar.set_message(message);
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                tell(format_args!("{}, step {done}/{}: {message}", self.title, self.steps));
            }
            None => {}
        }
    }

    fn end_epoch(&mut self, row: &EpochRow) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.last_line = Instant::now();
        tell(format_args!(
            "{}: loss {:.4}, accuracy {:.2} %, test loss {:.4}, test accuracy {:.2} %, {:.0} images/s, {:.1} s",
            self.title,
            row.train_loss,
            100.0 * row.train_accuracy,
            row.test_loss,
            100.0 * row.test_accuracy,
            row.images_per_second,
            row.seconds
        ));
    }
}
