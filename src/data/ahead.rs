//! Batches that are made while the device works on those before them.

use super::{Batches, DataError, PackedBatch};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Batches that wait to be taken, at most. One more is being made.
const READY: usize = 2;

/// How often it is looked whether the device has anything to do, while a batch is waited for.
const LOOK: Duration = Duration::from_millis(1);

/// Batches of a pass, made ahead of need by threads of their own.
pub struct Ahead {
    batches: Receiver<Result<PackedBatch, DataError>>,
    idle: Duration,
}

impl Batches<'_> {
    /// Calls `take` with the batches at these `places` of the pass, in their order. Those that come next are
    /// [packed](Batches::pack) meanwhile; images of a batch are read by several threads.
    pub fn ahead<T>(&self, places: impl Iterator<Item = usize> + Send, take: impl FnOnce(&mut Ahead) -> T) -> T {
        std::thread::scope(|scope| {
            let (to, batches) = sync_channel(READY);
            scope.spawn(move || {
                for index in places {
                    let batch = self.pack(index);
                    let is_last = batch.is_err();
                    // Nobody takes it where `take` ended before.
                    if to.send(batch).is_err() || is_last {
                        return;
                    }
                }
            });
            take(&mut Ahead { batches, idle: Duration::ZERO })
        })
    }
}

impl Ahead {
    /// The next batch. Time in which it is waited for and `is_idle` holds counts as [idle](Ahead::idle).
    ///
    /// # Errors
    /// When an image of it cannot be read.
    ///
    /// # Panics
    /// After the last batch.
    pub fn next(&mut self, is_idle: impl Fn() -> bool) -> Result<PackedBatch, DataError> {
        let mut patience = Duration::ZERO;
        loop {
            let (begin, was_idle) = (Instant::now(), patience > Duration::ZERO && is_idle());
            let received = self.batches.recv_timeout(patience);
            if was_idle {
                self.idle += begin.elapsed();
            }
            match received {
                Ok(batch) => return batch,
                Err(RecvTimeoutError::Timeout) => patience = LOOK,
                Err(RecvTimeoutError::Disconnected) => panic!("there is no batch after the last"),
            }
        }
    }

    /// For how long the device had nothing to do, while a batch was waited for.
    pub fn idle(&self) -> Duration {
        self.idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dataset, Normalization};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    const PLAIN: fn() -> Normalization = || Normalization { mean: vec![0.0], std: vec![1.0] };

    fn greys(read: impl Fn(usize) -> Result<u8, DataError> + Send + Sync + 'static) -> Dataset {
        let read = move |index: usize, out: &mut [u8]| read(index).map(|grey| out.fill(grey));
        Dataset::streamed("greys", [1, 1, 5], vec!["all".to_owned()], vec![0; 10], read).unwrap()
    }

    #[test]
    fn batches_come_in_their_order_and_are_those_that_are_packed_one_by_one() {
        let data = greys(|index| Ok(index as u8));
        let batches = Batches::new(&data, 3, &PLAIN()).unwrap().shuffled(1, 2);
        let one_by_one: Vec<PackedBatch> = (1..4).map(|index| batches.pack(index).unwrap()).collect();
        let ahead = batches.ahead(1..4, |ahead| (1..4).map(|_| ahead.next(|| true).unwrap()).collect::<Vec<_>>());
        assert_eq!(ahead, one_by_one);
        assert_eq!(ahead[2].labels.len(), 1);
        // Five bytes are a word and a byte of the next.
        assert_eq!(ahead[0].words[..2], [0x0101_0101 * batches.indices(1)[0], batches.indices(1)[0]]);
    }

    #[test]
    fn no_more_batches_are_made_than_wait_and_a_pass_may_be_left() {
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let data = greys(move |index| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(index as u8)
        });
        reads.store(0, Ordering::SeqCst);
        let batches = Batches::new(&data, 1, &PLAIN()).unwrap();
        batches.ahead(0..10, |ahead| ahead.next(|| true).map(drop)).unwrap();
        assert!((1..=2 + READY).contains(&reads.load(Ordering::SeqCst)));
    }

    #[test]
    fn an_image_that_cannot_be_read_any_more_or_is_another_one_is_an_error_with_its_name() {
        let now = Arc::new(Mutex::new(None::<Option<u8>>));
        let seen = Arc::clone(&now);
        let data = greys(move |index| match *seen.lock().unwrap() {
            Some(other) if index == 4 => other.ok_or(DataError::ChangedImage { image: "nothing".to_owned() }),
            _ => Ok(index as u8),
        });
        let batches = Batches::new(&data, 2, &PLAIN()).unwrap();
        for (changed, told) in [(None, "nothing has changed"), (Some(9), "image 4 has changed")] {
            *now.lock().unwrap() = Some(changed);
            let error = batches.ahead(0..5, |ahead| {
                assert!(ahead.next(|| true).is_ok() && ahead.next(|| true).is_ok());
                ahead.next(|| true).unwrap_err()
            });
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
