//! What a device refuses, told with what was asked of it: at once where a thread may wait for the answer, and in a browser when
//! all that was asked is awaited.

use super::GpuError;
#[cfg(not(blocking))]
use std::{future::Future, pin::Pin, sync::Mutex, sync::PoisonError};

/// Answers that have not come yet.
#[derive(Default)]
pub(super) struct Scopes {
    #[cfg(not(blocking))]
    pending: Mutex<Vec<Answer>>,
}

/// Whether something was refused, and what that means.
#[cfg(not(blocking))]
type Answer = Pin<Box<dyn Future<Output = Result<(), GpuError>> + Send>>;

impl Scopes {
    /// Runs `create`, and gives what `refused` makes of the error if the device refuses it: here, or in a browser from
    /// [`Scopes::settle`].
    pub(super) fn within<T>(
        &self,
        device: &wgpu::Device,
        filter: wgpu::ErrorFilter,
        refused: impl FnOnce(wgpu::Error) -> GpuError + Send + 'static,
        create: impl FnOnce() -> T,
    ) -> Result<T, GpuError> {
        let scope = device.push_error_scope(filter);
        let created = create();
        let answer = scope.pop();
        #[cfg(blocking)]
        match pollster::block_on(answer) {
            None => Ok(created),
            Some(error) => Err(refused(error)),
        }
        #[cfg(not(blocking))]
        {
            self.lock().push(Box::pin(async move { answer.await.map_or(Ok(()), |error| Err(refused(error))) }));
            Ok(created)
        }
    }

    /// Waits for all answers.
    ///
    /// # Errors
    /// The first refusal.
    #[cfg_attr(blocking, expect(clippy::unused_async, reason = "the answers are there, but not in a browser"))]
    pub(super) async fn settle(&self) -> Result<(), GpuError> {
        #[cfg(not(blocking))]
        {
            let mut first = Ok(());
            let answers = std::mem::take(&mut *self.lock());
            for answer in answers {
                first = first.and(answer.await);
            }
            first
        }
        #[cfg(blocking)]
        Ok(())
    }

    #[cfg(not(blocking))]
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Answer>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
