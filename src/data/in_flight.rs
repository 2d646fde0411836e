//! How many pixels are decoded at a time: each thread has an image, and some images are as large as a thousand others.

use std::sync::{Condvar, Mutex, PoisonError};

use super::decode::MAX_PIXELS;

/// Pixels of the images that are decoded side by side, at most; one that alone has more is decoded alone.
const MOST: u64 = MAX_PIXELS;

static DECODING: InFlight = InFlight { taken: Mutex::new(0), fewer: Condvar::new() };

struct InFlight {
    taken: Mutex<u64>,
    fewer: Condvar,
}

/// Pixels that are given back when it is dropped.
pub(super) struct Taken {
    from: &'static InFlight,
    pixels: u64,
}

/// Waits until an image of so many pixels may be decoded beside those that are.
///
/// What holds the result must not wait for work of other threads, which may wait here.
pub(super) fn take(pixels: u64) -> Taken {
    DECODING.take(pixels)
}

impl InFlight {
    fn take(&'static self, pixels: u64) -> Taken {
        let pixels = pixels.min(MOST);
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |taken: &mut u64| *taken + pixels > MOST;
        let mut taken = self.fewer.wait_while(taken, is_full).unwrap_or_else(PoisonError::into_inner);
        *taken += pixels;
        Taken { from: self, pixels }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.from.taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.pixels;
        self.from.fewer.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn images_side_by_side_have_no_more_pixels_than_the_largest_alone() {
        static TRIED: InFlight = InFlight { taken: Mutex::new(0), fewer: Condvar::new() };
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for image in 0..16 {
                let (now, most) = (&now, &most);
                scope.spawn(move || {
                    let pixels = [MOST / 3, MOST / 2, 10 * MOST, 1][image % 4];
                    let taken = TRIED.take(pixels);
                    most.fetch_max(now.fetch_add(taken.pixels, Ordering::SeqCst) + taken.pixels, Ordering::SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(taken.pixels, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.into_inner(), MOST, "an image beyond the bound runs, and alone");
        assert_eq!(*TRIED.taken.lock().unwrap(), 0);
    }
}
