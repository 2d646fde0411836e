//! Commands that a device was given, and the wait for them.

use super::{Gpu, GpuError};
#[cfg(not(blocking))]
use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};
#[cfg(blocking)]
use std::time::Duration;

/// A step that takes longer than this is taken for a hung driver.
#[cfg(blocking)]
const TIMEOUT: Duration = Duration::from_secs(600);

/// Commands that the device was given.
pub(super) struct Submitted {
    #[cfg(blocking)]
    index: wgpu::SubmissionIndex,
    #[cfg(not(blocking))]
    done: OneshotReceiver<()>,
}

impl Gpu {
    /// Gives the device commands to run.
    pub(super) fn submit(&self, commands: impl IntoIterator<Item = wgpu::CommandBuffer>) -> Submitted {
        #[cfg(blocking)]
        return Submitted { index: self.queue.submit(commands) };
        #[cfg(not(blocking))]
        {
            let (sender, done) = oneshot_channel();
            self.queue.submit(commands);
            // The receiver is gone when nobody waits for the commands any more.
            self.queue.on_submitted_work_done(move || drop(sender.send(())));
            Submitted { done }
        }
    }

    /// Waits until these commands, and all before them, have run. But in a browser the thread waits.
    ///
    /// # Errors
    /// When the device is lost, hangs, or refused a command since the last check.
    #[cfg_attr(blocking, expect(clippy::unused_async, reason = "the thread waits, but not in a browser"))]
    pub(super) async fn finish(&self, submitted: Submitted) -> Result<(), GpuError> {
        #[cfg(blocking)]
        {
            let poll = wgpu::PollType::Wait { submission_index: Some(submitted.index), timeout: Some(TIMEOUT) };
            let polled = self.device.poll(poll);
            self.check()?;
            polled.map(|_| ()).map_err(|_| GpuError::Timeout { seconds: TIMEOUT.as_secs() })
        }
        #[cfg(not(blocking))]
        {
            submitted.done.receive().await;
            self.check()
        }
    }

    /// Whether all that was submitted has run.
    pub(crate) fn is_idle(&self) -> bool {
        self.device.poll(wgpu::PollType::Poll).is_ok_and(|status| status.is_queue_empty())
    }
}
