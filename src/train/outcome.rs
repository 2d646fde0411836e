//! What training comes to.

use super::Evaluation;
use std::path::PathBuf;

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// Of the last epoch. Where the data have validation images, of the best checkpoint, measured once, when the run is
    /// at its end.
    pub test: Option<Evaluation>,
    /// Of the last epoch, on the images that decide which checkpoint is the best, where they are not the test images.
    pub validation: Option<Evaluation>,
    /// Of the best checkpoint, on the images that decide, from 0 to 1.
    pub best_accuracy: f64,
    /// The epoch that has it, counted from 1; 0 where none is done.
    pub best_epoch: u64,
    /// Whether it ended before its last epoch, since none of its `patience` last ones was better.
    pub stopped_early: bool,
    /// Over the images of the last epoch's steps, from 0 to 1.
    pub train_accuracy: f64,
    /// Steps of the run that changed nothing, since gradients were not finite. None where none may be skipped.
    pub skipped_steps: Option<u64>,
    /// Over the steps of this call, without its tests.
    pub images_per_second: f64,
    /// The share of the time of these steps, from 0 to 1, in which the device had nothing to do and waited for images.
    pub data_wait: f64,
    /// The share of the time of the steps in which the first member waited for the sums of others, or gave them its own, while
    /// its device had nothing to do; 0 where it trains alone.
    pub exchange: f64,
    /// Of this call, with its tests.
    pub seconds: f64,
    /// The run folder.
    pub run: PathBuf,
}
