//! What hears of a run as it goes on.

use super::run_folder::EpochRow;
use super::sweep::{Trial, TrialResult};
use std::time::Duration;

/// Hears of a run as it goes on.
pub trait Reporter {
    /// A line of news.
    fn note(&mut self, line: &str);

    /// What has this title, such as `epoch 1/5`, begins at step `done` of its `steps` steps.
    fn begin(&mut self, title: &str, done: u64, steps: u64);

    /// So long the run goes on from here, by the speed of its steps; testing and writing are not part of it.
    fn expect(&mut self, _left: Duration) {}

    /// `done` of these steps are known to have run, at this mean loss and accuracy.
    fn advance(&mut self, done: u64, loss: f64, accuracy: f64, images_per_second: f64);

    /// An epoch has been trained and tested.
    fn end_epoch(&mut self, row: &EpochRow);

    /// A trial of a sweep goes no further.
    fn end_trial(&mut self, _: &Trial, _: &TrialResult) {}
}

/// Says nothing.
pub struct Silent;

impl Reporter for Silent {
    fn note(&mut self, _: &str) {}
    fn begin(&mut self, _: &str, _: u64, _: u64) {}
    fn advance(&mut self, _: u64, _: f64, _: f64, _: f64) {}
    fn end_epoch(&mut self, _: &EpochRow) {}
}
