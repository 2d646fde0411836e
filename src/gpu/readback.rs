//! Copies device memory to the host without stopping the device.

use super::store::Stored;
use super::submitted::Submitted;
use super::{Gpu, GpuError};
use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};

/// A copy on its way to the host.
pub(crate) struct Readback {
    gpu: Gpu,
    staging: wgpu::Buffer,
    mapped: OneshotReceiver<Result<(), wgpu::BufferAsyncError>>,
    submitted: Submitted,
}

/// A piece of a buffer, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Span<'a> {
    pub buffer: &'a wgpu::Buffer,
    pub offset: u64,
    pub bytes: u64,
}

/// Bytes of a staging buffer, beyond one that is larger itself: what is read back at once takes no more host memory
/// twice.
const STAGING: u64 = 256 << 20;

impl Readback {
    /// Queues the copy of spans, which come one after another; work submitted before it is seen by it.
    pub(super) fn start(gpu: &Gpu, spans: &[Span<'_>]) -> Result<Self, GpuError> {
        let staging = gpu.allocate("reading back", || {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("readback"),
                size: spans.iter().map(|span| span.bytes).sum(),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })?;
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut end = 0;
        for &Span { buffer, offset, bytes } in spans {
            encoder.copy_buffer_to_buffer(buffer, offset, &staging, end, bytes);
            end += bytes;
        }
        let submitted = gpu.submit([encoder.finish()]);
        let (sender, mapped) = oneshot_channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver is gone when nobody waits for the copy any more.
            sender.send(result).ok();
        });
        Ok(Readback { gpu: gpu.clone(), staging, mapped, submitted })
    }

    /// Copies tensors to the host through as few staging buffers as their sizes allow, and waits once for each.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) async fn all(gpu: &Gpu, tensors: &[Stored]) -> Result<Vec<Vec<f32>>, GpuError> {
        let mut all = Vec::with_capacity(tensors.len());
        let mut rest = tensors;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |tensor: &&Stored| {
                bytes += tensor.bytes;
                bytes <= STAGING
            };
            let (now, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            let spans: Vec<Span<'_>> = now.iter().map(Span::of).collect();
            let together = Readback::start(gpu, &spans)?.arrive().await?;
            let mut together = together.as_slice();
            for tensor in now {
                let (own, after) = together.split_at(tensor.bytes as usize);
                all.push(bytemuck::pod_collect_to_vec(own));
                together = after;
            }
            rest = later;
        }
        Ok(all)
    }

    /// The copy, when it is there. But in a browser the thread waits for it.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) async fn arrive(self) -> Result<Vec<u8>, GpuError> {
        self.gpu.finish(self.submitted).await?;
        let refused = |reason: String| GpuError::Refused { reason };
        match self.mapped.receive().await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                // Of a lost device no copy can be mapped.
                self.gpu.check()?;
                return Err(refused(error.to_string()));
            }
            None => return Err(refused("a read-back was dropped".to_owned())),
        }
        let view = self.staging.get_mapped_range(..).map_err(|error| refused(error.to_string()))?;
        Ok(view.to_vec())
    }
}

impl<'a> Span<'a> {
    pub(super) fn of(Stored { buffer, offset, bytes }: &'a Stored) -> Span<'a> {
        Span { buffer, offset: *offset, bytes: *bytes }
    }
}
