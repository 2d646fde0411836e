//! A step with each dispatch timed apart.

use super::readback::{Readback, Span};
use super::{GpuError, Program};
use crate::kernel::DeviceClass;
use std::time::Instant;

/// Which kernel a dispatch runs, and for which node of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelName {
    /// Path under `shaders/` without the ending.
    pub shader: &'static str,
    /// Index of the graph's node.
    pub node: usize,
}

/// Timestamps that one query set holds.
const QUERIES: usize = 4096;

impl Program {
    /// The dispatches of a step, in order.
    pub(crate) fn kernels(&self) -> impl Iterator<Item = KernelName> + '_ {
        self.steps.iter().map(|step| KernelName { shader: step.shader, node: step.node })
    }

    /// Whether the device has a clock for [`Program::run_timed`]. That of llvmpipe (Mesa 22.3) is read
    /// when commands are recorded, not when they have run, so software adapters do without.
    pub(crate) fn has_timestamps(&self) -> bool {
        self.gpu.profile().class == DeviceClass::Gpu
            && self.gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// Runs one step and gives start and length of each dispatch, in seconds: one compute pass a
    /// dispatch with timestamps around it, or without a device clock one submit a dispatch.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub(crate) fn run_timed(&mut self) -> Result<Vec<[f64; 2]>, GpuError> {
        match self.has_timestamps() {
            true => self.run_with_timestamps(),
            false => self.run_one_by_one(),
        }
    }

    #[cfg(blocking)]
    fn run_with_timestamps(&mut self) -> Result<Vec<[f64; 2]>, GpuError> {
        let device = self.gpu.device.clone();
        let mut times = Vec::with_capacity(self.steps.len());
        for steps in self.steps.chunks(QUERIES / 2) {
            let count = 2 * steps.len() as u32;
            let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("kernel times"),
                ty: wgpu::QueryType::Timestamp,
                count,
            });
            let resolved = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("kernel times"),
                size: u64::from(count) * 8,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            for (index, step) in (0..).zip(steps) {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: Some(step.shader),
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(2 * index),
                        end_of_pass_write_index: Some(2 * index + 1),
                    }),
                });
                step.encode(&mut pass);
            }
            encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
            self.gpu.queue.submit([encoder.finish()]);
            let span = Span { buffer: &resolved, offset: 0, bytes: u64::from(count) * 8 };
            let bytes = pollster::block_on(Readback::start(&self.gpu, &[span])?.arrive())?;
            let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
            let period = f64::from(self.gpu.queue.get_timestamp_period()) * 1e-9;
            let first = ticks.first().copied().unwrap_or(0);
            times.extend(ticks.chunks_exact(2).map(|pair| {
                [pair[0].saturating_sub(first), pair[1].saturating_sub(pair[0])].map(|ticks| ticks as f64 * period)
            }));
        }
        Ok(times)
    }

    #[cfg(blocking)]
    fn run_one_by_one(&mut self) -> Result<Vec<[f64; 2]>, GpuError> {
        let begin = Instant::now();
        let mut times = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            step.encode(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
            let commands = encoder.finish();
            let start = begin.elapsed().as_secs_f64();
            pollster::block_on(self.gpu.finish(self.gpu.submit([commands])))?;
            times.push([start, begin.elapsed().as_secs_f64() - start]);
        }
        Ok(times)
    }
}
