//! Results on their way to the host.

use super::SessionError;
use crate::gpu::Readback;
use crate::tensor::{HostTensor, TensorSpec};

/// An output on its way to the host. The device goes on meanwhile.
pub struct Pending {
    pub(super) spec: TensorSpec,
    pub(super) arrival: Arrival,
}

pub(super) enum Arrival {
    Later(Box<Readback>),
    Now(HostTensor),
}

impl Pending {
    /// Waits for the values.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub fn wait(self) -> Result<HostTensor, SessionError> {
        pollster::block_on(self.arrive())
    }

    /// The values, when they are there: for where nothing may wait, such as a browser. Elsewhere the thread waits for them.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn arrive(self) -> Result<HostTensor, SessionError> {
        match self.arrival {
            Arrival::Later(readback) => Ok(HostTensor::from_bytes(&self.spec, &readback.arrive().await?)),
            Arrival::Now(tensor) => Ok(tensor),
        }
    }
}
