//! Copies device memory to the host without stopping the device.

use super::{Gpu, GpuError};
use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};

/// A copy on its way to the host.
pub struct Readback {
    staging: wgpu::Buffer,
    mapped: OneshotReceiver<Result<(), wgpu::BufferAsyncError>>,
    submission: wgpu::SubmissionIndex,
}

impl Readback {
    /// Queues the copy of `bytes` bytes; work submitted before it is seen by it.
    pub(super) fn start(gpu: &Gpu, buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> Result<Self, GpuError> {
        let staging = gpu.allocate("reading back", || {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("readback"),
                size: bytes,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })?;
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, bytes);
        let submission = gpu.queue.submit([encoder.finish()]);
        let (sender, mapped) = oneshot_channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver is gone when nobody waits for the copy any more.
            sender.send(result).ok();
        });
        Ok(Readback { staging, mapped, submission })
    }

    /// Waits for the copy.
    ///
    /// # Errors
    /// When the device fails.
    pub fn finish(self, gpu: &Gpu) -> Result<Vec<u8>, GpuError> {
        gpu.wait(Some(self.submission))?;
        let refused = |reason: String| GpuError::Refused { reason };
        match pollster::block_on(self.mapped.receive()) {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(refused(error.to_string())),
            None => return Err(refused("a read-back was dropped".to_owned())),
        }
        let view = self.staging.get_mapped_range(..).map_err(|error| refused(error.to_string()))?;
        Ok(view.to_vec())
    }
}
