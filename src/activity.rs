//! What a long piece of work is at, for another thread to look at while it goes on. Nothing here prints.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
#[cfg(not(target_family = "wasm"))]
use std::time::Instant;
#[cfg(target_family = "wasm")]
use web_time::Instant;

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Nothing that takes long.
    #[default]
    Idle,
    /// Images are read and brought to their size.
    Reading,
    /// A graph is planned, and the texts of its kernels are made.
    Planning,
    /// The driver compiles kernels; counted in kernels.
    Compiling,
    /// Steps are submitted to the device; counted in steps.
    Training,
    /// The model runs on images that it is measured on; counted in batches.
    Testing,
    /// A file is written.
    Saving,
}

/// How far a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// What is being done.
    pub stage: Stage,
    /// Of `total`: kernels that are compiled, steps that are submitted.
    pub done: u64,
    /// 0 where it cannot be counted.
    pub total: u64,
    began: Instant,
    moved: Instant,
}

impl Position {
    fn new(stage: Stage, total: u64) -> Self {
        let now = Instant::now();
        Position { stage, done: 0, total, began: now, moved: now }
    }

    /// As if the stage had begun, and moved on, so much earlier.
    #[doc(hidden)]
    #[must_use]
    pub fn earlier(self, time: Duration) -> Position {
        let before = |at: Instant| at.checked_sub(time).unwrap_or(at);
        Position { began: before(self.began), moved: before(self.moved), ..self }
    }

    /// Time since the stage began.
    pub fn lasted(&self) -> Duration {
        self.began.elapsed()
    }

    /// Time since the stage began or last moved on.
    pub fn stood(&self) -> Duration {
        self.moved.elapsed()
    }
}

/// Where a piece of work stands. Clones share it: one is held by what works, another by what watches.
#[derive(Clone, Debug)]
pub struct Activity(Arc<Mutex<Position>>);

impl Default for Activity {
    fn default() -> Self {
        Activity(Arc::new(Mutex::new(Position::new(Stage::Idle, 0))))
    }
}

impl Activity {
    /// Begins a stage that lasts as long as what is returned; then the one before goes on where it was.
    #[must_use = "the stage ends when this is dropped"]
    pub fn enter(&self, stage: Stage, total: u64) -> Entered {
        let before = std::mem::replace(&mut *self.lock(), Position::new(stage, total));
        Entered { activity: self.clone(), before }
    }

    /// What is being done at this moment.
    pub fn now(&self) -> Position {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Position> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stage that is being done.
#[derive(Debug)]
pub struct Entered {
    activity: Activity,
    before: Position,
}

impl Entered {
    /// So much is done.
    pub fn reach(&self, done: u64) {
        let mut position = self.activity.lock();
        position.done = done;
        position.moved = Instant::now();
    }

    /// One more is done.
    pub fn advance(&self) {
        let mut position = self.activity.lock();
        position.done += 1;
        position.moved = Instant::now();
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        *self.activity.lock() = Position { moved: Instant::now(), ..self.before };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_within_another_leaves_it_where_it_was() {
        let activity = Activity::default();
        let training = activity.enter(Stage::Training, 10);
        training.reach(4);
        {
            let saving = activity.enter(Stage::Saving, 0);
            saving.advance();
            assert_eq!((activity.now().stage, activity.now().done), (Stage::Saving, 1));
        }
        training.advance();
        let now = activity.now();
        assert_eq!((now.stage, now.done, now.total), (Stage::Training, 5, 10));
        drop(training);
        assert_eq!(activity.now().stage, Stage::Idle);
    }
}
