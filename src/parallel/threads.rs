//! Members that are threads of one process, each with a device of its own.

use super::{Collective, ParallelError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A member that is a thread.
pub struct Threads {
    rank: usize,
    world: usize,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// What is on its way, by sender and receiver.
    given: Vec<Vec<Option<Vec<u8>>>>,
    /// The first member that failed, and why.
    failed: Option<(usize, String)>,
}

impl Threads {
    /// As many members as are asked for, in the order of their ranks.
    pub fn split(world: usize) -> Vec<Threads> {
        let state = State { given: vec![vec![None; world]; world], failed: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        (0..world).map(|rank| Threads { rank, world, shared: Arc::clone(&shared) }).collect()
    }

    /// A handle by which the members are told that this one failed, if it does.
    pub fn watch(&self) -> Watch {
        Watch { rank: self.rank, shared: Arc::clone(&self.shared) }
    }

    /// Waits until `ready` gives something.
    fn wait<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> Result<T, ParallelError> {
        let mut state = self.shared.lock();
        loop {
            if let Some(value) = ready(&mut state) {
                return Ok(value);
            }
            if let Some((rank, reason)) = &state.failed {
                return Err(ParallelError::Failed { rank: *rank, world: self.world, reason: reason.clone() });
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collective for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.world
    }

    fn exchange(&self, parts: &[&[u8]]) -> Result<Vec<Vec<u8>>, ParallelError> {
        assert_eq!(parts.len(), self.world, "there is a part for each member");
        for (to, part) in parts.iter().enumerate() {
            // What was given before is taken first.
            self.wait(|state| {
                let place = &mut state.given[self.rank][to];
                place.is_none().then(|| *place = Some(part.to_vec()))
            })?;
            self.shared.changed.notify_all();
        }
        let take = |from: usize| {
            let taken = self.wait(|state| state.given[from][self.rank].take())?;
            self.shared.changed.notify_all();
            Ok(taken)
        };
        (0..self.world).map(take).collect()
    }
}

/// Tells the other members when one ends as it should not, by an error or a panic.
pub struct Watch {
    rank: usize,
    shared: Arc<Shared>,
}

impl Watch {
    /// Runs what a member does.
    ///
    /// # Errors
    /// What it gives.
    pub fn over<T, E: std::fmt::Display>(self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let done = work();
        if let Err(reason) = &done {
            self.fail(reason.to_string());
        }
        done
    }

    fn fail(&self, reason: String) {
        self.shared.lock().failed.get_or_insert((self.rank, reason));
        self.shared.changed.notify_all();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail("it panicked".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_gets_what_every_other_gave_it_call_after_call() {
        std::thread::scope(|scope| {
            for member in Threads::split(3) {
                scope.spawn(move || {
                    for round in 0..50u8 {
                        let own = member.rank() as u8;
                        let parts: Vec<Vec<u8>> = (0..3).map(|to| vec![round, own, to]).collect();
                        let given = member.exchange(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
                        assert_eq!(given, (0..3).map(|from| vec![round, from, own]).collect::<Vec<_>>());
                        assert_eq!(member.broadcast(&[own + 7]).unwrap(), [7]);
                    }
                });
            }
        });
    }

    #[test]
    fn a_member_that_fails_or_panics_ends_the_waiting_of_the_others_with_its_name() {
        for panics in [false, true] {
            let mut members = Threads::split(2);
            let (second, first) = (members.pop().unwrap(), members.pop().unwrap());
            let told = std::thread::scope(|scope| {
                let other = scope.spawn(move || {
                    second.watch().over(|| -> Result<(), String> {
                        if panics { panic!("on purpose") } else { Err("no more memory".to_owned()) }
                    })
                });
                let told = first.all_gather(b"waits").unwrap_err().to_string();
                let _ended = other.join();
                told
            });
            let reason = if panics { "it panicked" } else { "no more memory" };
            assert_eq!(told, format!("rank 1 of 2 has failed: {reason}"));
        }
    }
}
