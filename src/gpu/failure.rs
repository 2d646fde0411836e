//! What a device reports of itself when nobody asked.

use super::GpuError;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What went wrong.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    OutOfMemory,
    Lost(String),
    LostForMemory,
    Refused(String),
}

impl Failure {
    /// Of a device that is lost: wgpu gives it up, too, where a command finds no memory.
    pub(super) fn of_loss(message: String) -> Failure {
        // A browser does not say why.
        #[cfg(not(target_family = "wasm"))]
        if message == wgpu::hal::DeviceError::OutOfMemory.to_string() {
            return Failure::LostForMemory;
        }
        Failure::Lost(message)
    }
}

/// The first failure of a device; but that it is lost is more than that it had no memory.
#[derive(Default)]
pub(super) struct Failures(Mutex<Option<Failure>>);

impl Failures {
    pub(super) fn note(&self, new: Failure) {
        let mut first = self.lock();
        match (first.as_ref(), &new) {
            (None, _) | (Some(Failure::OutOfMemory), Failure::Lost(_) | Failure::LostForMemory) => *first = Some(new),
            _ => {}
        }
    }

    /// The first one, if any. A device that had no memory, and was not lost, is as good as before to whoever asks it for
    /// less: that is told once.
    pub(super) fn first(&self) -> Result<(), GpuError> {
        let mut first = self.lock();
        match first.take_if(|failure| matches!(failure, Failure::OutOfMemory)).as_ref().or(first.as_ref()) {
            None => Ok(()),
            Some(Failure::OutOfMemory) => Err(GpuError::OutOfMemory { what: "running".to_owned() }),
            Some(Failure::Lost(reason)) => Err(GpuError::Lost { reason: reason.clone() }),
            Some(Failure::LostForMemory) => Err(GpuError::LostForMemory),
            Some(Failure::Refused(reason)) => Err(GpuError::Refused { reason: reason.clone() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_lost_for_memory_is_told_from_one_that_is_lost() {
        // As wgpu's `Device::handle_hal_error` words it.
        assert!(matches!(Failure::of_loss("Out of memory".to_owned()), Failure::LostForMemory));
        assert!(
            matches!(Failure::of_loss("Device is lost".to_owned()), Failure::Lost(reason) if reason == "Device is lost")
        );
        let failures = Failures::default();
        for new in [Failure::OutOfMemory, Failure::LostForMemory, Failure::Refused("later".to_owned())] {
            failures.note(new);
        }
        assert!(matches!(failures.first(), Err(GpuError::LostForMemory)));
    }
}
