//! A plan made real on a device: buffers, bind groups and pipelines, replayed with one submit a step.

use super::pipelines::CompiledKernel;
use super::readback::{Readback, Span};
use super::store::{Store, Stored};
use super::submitted::Submitted;
use super::{Gpu, GpuError};
use crate::activity::Stage;
use crate::graph::{Graph, Role};
use crate::kernel::ARGUMENT_BYTES;
use crate::plan::{MemoryReport, Plan, PlannedBinding, PlannedDispatch, Region};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

pub(super) const TEXTURE_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba32Float;

/// Steps that may be queued before the host waits for the oldest.
const STEPS_IN_FLIGHT: usize = 2;

/// A graph on a device, ready to run.
pub(crate) struct Program {
    pub(super) gpu: Gpu,
    pub(super) steps: Vec<Step>,
    inputs: HashMap<String, Stored>,
    outputs: HashMap<String, Stored>,
    slots: Vec<Stored>,
    /// What the kernels write before they read it: slots, and gradients that lie in packs.
    activations: Vec<Stored>,
    textures: Vec<wgpu::Texture>,
    memory: MemoryReport,
    /// The first step that the run under way has not been given.
    next: usize,
    in_flight: VecDeque<Submitted>,
}

pub(super) struct Step {
    kernel: Arc<CompiledKernel>,
    bindings: wgpu::BindGroup,
    /// The bind group of the program's arguments, and where the kernel's begin.
    arguments: Option<(wgpu::BindGroup, u32)>,
    workgroups: [u32; 3],
    pub shader: &'static str,
    /// Index of the graph's node.
    pub node: usize,
}

impl Step {
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.kernel.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        if let Some((arguments, offset)) = &self.arguments {
            pass.set_bind_group(1, arguments, &[*offset]);
        }
        pass.dispatch_workgroups(x, y, z);
    }
}

impl Program {
    /// Plans graphs, compiles their kernels side by side, and allocates their memory: persistent tensors in `store`,
    /// those of all graphs at once. `beside` is a program that never runs at the same time as these, in whose activations'
    /// memory theirs lie as far as they fit.
    ///
    /// # Errors
    /// When the device cannot run a graph, or has no memory for it.
    pub(crate) fn prepare(
        gpu: &Gpu,
        graphs: &[&Graph],
        store: &mut Store,
        beside: Option<&Program>,
    ) -> Result<Vec<Program>, GpuError> {
        let planning = gpu.activity.enter(Stage::Planning, 0);
        let plans = graphs.iter().map(|graph| Plan::new(graph, gpu.profile())).collect::<Result<Vec<_>, _>>()?;
        drop(planning);
        if gpu.info().kind.shares_memory() {
            // Persistent tensors are shared by the programs, and all else is each one's own.
            let shared = plans.iter().map(|plan| plan.memory.persistent).fold(0, u64::max);
            let own: u64 = plans.iter().map(|plan| plan.memory.peak() - plan.memory.persistent).sum();
            require_memory(shared + own)?;
        }
        let dispatches: Vec<&PlannedDispatch> = plans.iter().flat_map(|plan| &plan.steps).collect();
        let mut kernels = gpu.pipelines.compile(&gpu.device, &gpu.scopes, &dispatches, &gpu.activity)?.into_iter();
        store.lay_out(&graphs.iter().copied().zip(&plans).collect::<Vec<_>>())?;
        let mut spare = beside.map_or(Vec::new(), |other| other.slots.clone());
        spare.sort_by_key(|slot| slot.bytes);
        let program = |(graph, plan): (&&Graph, Plan)| {
            let kernels = kernels.by_ref().take(plan.steps.len()).collect();
            Program::new(gpu, graph, plan, kernels, store, spare.clone())
        };
        graphs.iter().zip(plans).map(program).collect()
    }

    /// `spare` are slots that may be taken, the smallest first.
    fn new(
        gpu: &Gpu,
        graph: &Graph,
        plan: Plan,
        kernels: Vec<Arc<CompiledKernel>>,
        store: &Store,
        mut spare: Vec<Stored>,
    ) -> Result<Program, GpuError> {
        let mut regions: Vec<Stored> = Vec::with_capacity(plan.regions.len());
        let mut inputs = HashMap::new();
        let mut slots = Vec::new();
        for region in &plan.regions {
            let stored = match region {
                Region::Persistent { value, bytes } => store.region(graph, *value, *bytes)?,
                Region::Slot { bytes } if spare.last().is_some_and(|slot| slot.bytes >= *bytes) => {
                    let taken = spare.partition_point(|slot| slot.bytes < *bytes);
                    Stored { bytes: *bytes, ..spare.remove(taken) }
                }
                Region::Input { bytes, .. } | Region::Slot { bytes } => {
                    let buffer = gpu.allocate("allocating activations", || buffer(gpu, *bytes))?;
                    Stored { buffer, offset: 0, bytes: *bytes }
                }
            };
            if let Region::Input { name, .. } = region {
                inputs.insert(name.clone(), stored.clone());
            }
            if let Region::Slot { .. } = region {
                slots.push(stored.clone());
            }
            regions.push(stored);
        }
        let mut activations = slots.clone();
        for value in graph.values() {
            if let (Role::Node { .. }, Some(place)) = (&graph.tensor(value).role, plan.places[value.index()])
                && let Region::Persistent { .. } = plan.regions[place.region]
            {
                let Stored { buffer, offset, .. } = &regions[place.region];
                let offset = offset + place.offset;
                activations.push(Stored { buffer: buffer.clone(), offset, bytes: place.bytes });
            }
        }
        let textures: Vec<wgpu::Texture> = plan
            .textures
            .iter()
            .map(|size| gpu.allocate("allocating textures", || texture(gpu, size.width, size.height)))
            .collect::<Result<_, _>>()?;
        let views: Vec<wgpu::TextureView> =
            textures.iter().map(|texture| texture.create_view(&wgpu::TextureViewDescriptor::default())).collect();

        let arguments = arguments(gpu, &plan.arguments)?;
        let steps = plan
            .steps
            .iter()
            .zip(kernels)
            .map(|(dispatch, kernel)| {
                let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
                    .zip(&dispatch.bindings)
                    .map(|(binding, planned)| wgpu::BindGroupEntry {
                        binding,
                        resource: resource(planned, &regions, &views),
                    })
                    .collect();
                let bindings = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some(&dispatch.layer),
                    layout: &kernel.layout,
                    entries: &entries,
                });
                Step {
                    kernel,
                    bindings,
                    arguments: dispatch.arguments.map(|offset| (arguments.clone(), offset)),
                    workgroups: dispatch.workgroups,
                    shader: dispatch.kernel.shader.name,
                    node: dispatch.node,
                }
            })
            .collect();
        let outputs = graph
            .outputs()
            .iter()
            .filter_map(|(name, value)| {
                let place = plan.places[value.index()]?;
                let region = &regions[place.region];
                let offset = region.offset + place.offset;
                let bytes = graph.spec(*value).bytes();
                Some((name.clone(), Stored { buffer: region.buffer.clone(), offset, bytes }))
            })
            .collect();
        gpu.check()?;
        Ok(Program {
            gpu: gpu.clone(),
            steps,
            inputs,
            outputs,
            slots,
            activations,
            textures,
            memory: plan.memory,
            next: 0,
            in_flight: VecDeque::new(),
        })
    }

    /// Device memory of the program, in bytes.
    pub(crate) fn memory(&self) -> MemoryReport {
        self.memory
    }

    /// Sets an input for the next run; one that no node reads is left alone.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        if let Some(input) = self.inputs.get(name) {
            self.gpu.queue.write_buffer(&input.buffer, 0, bytes);
        }
    }

    /// Fills every activation, gradient and scratch texture with NaN, so that an element that no kernel
    /// writes is seen.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) async fn poison(&self) -> Result<(), GpuError> {
        for Stored { buffer, offset, bytes } in &self.activations {
            // All bits set are NaN in f32, and twice in f16.
            self.gpu.queue.write_buffer(buffer, *offset, &vec![u8::MAX; *bytes as usize]);
        }
        for texture in &self.textures {
            let row = texture.width() as usize * 4;
            let nan = vec![f32::NAN; row * texture.height() as usize];
            let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(row as u32 * 4), ..Default::default() };
            self.gpu.queue.write_texture(texture.as_image_copy(), bytemuck::cast_slice(&nan), layout, texture.size());
        }
        self.gpu.finish(self.gpu.submit([])).await
    }

    /// Submits one step, or the rest of one; returns as soon as few enough steps are queued.
    ///
    /// # Errors
    /// When the device failed in this or an earlier step.
    pub(crate) async fn run(&mut self) -> Result<(), GpuError> {
        let submitted = self.submit(self.steps.len());
        self.next = 0;
        self.in_flight.push_back(submitted);
        if self.in_flight.len() > STEPS_IN_FLIGHT
            && let Some(oldest) = self.in_flight.pop_front()
        {
            self.gpu.finish(oldest).await?;
        }
        self.gpu.check()
    }

    /// Submits what a step has up to and with the node `last` of its graph, and was not yet submitted.
    pub(crate) fn run_to(&mut self, last: usize) {
        let end = self.steps.partition_point(|step| step.node <= last);
        if end > self.next {
            self.submit(end);
            self.next = end;
        }
    }

    fn submit(&self, end: usize) -> Submitted {
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for step in &self.steps[self.next..end] {
                step.encode(&mut pass);
            }
        }
        self.gpu.submit([encoder.finish()])
    }

    /// Waits until every submitted step has run.
    ///
    /// # Errors
    /// When the device failed.
    pub(crate) async fn finish(&mut self) -> Result<(), GpuError> {
        self.in_flight.clear();
        self.gpu.finish(self.gpu.submit([])).await
    }

    /// Starts to read outputs of the last run, one after another, while the device goes on.
    ///
    /// # Errors
    /// When the graph has no such output.
    pub(crate) fn read<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Readback, GpuError> {
        let output = |name: &str| self.outputs.get(name).ok_or_else(|| unknown_output(name));
        let spans: Vec<Span<'_>> =
            names.into_iter().map(|name| output(name).map(Span::of)).collect::<Result<_, GpuError>>()?;
        Readback::start(&self.gpu, &spans)
    }
}

fn unknown_output(name: &str) -> GpuError {
    GpuError::UnknownTensor { kind: "output", name: name.to_owned() }
}

/// Refuses what the memory that is free on the host cannot hold.
///
/// # Errors
/// [`GpuError::TooLarge`].
fn require_memory(needed: u64) -> Result<(), GpuError> {
    match crate::memory::available() {
        Some(available) if needed > available => Err(GpuError::TooLarge { needed, available }),
        _ => Ok(()),
    }
}

/// A bind group whose dynamic offset says where a kernel's arguments begin in `words`.
fn arguments(gpu: &Gpu, words: &[u32]) -> Result<wgpu::BindGroup, GpuError> {
    let bytes: &[u8] = bytemuck::cast_slice(words);
    let descriptor = wgpu::BufferDescriptor {
        label: Some("arguments"),
        size: (bytes.len() as u64).max(u64::from(ARGUMENT_BYTES)),
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    };
    let buffer = gpu.allocate("allocating arguments", || gpu.device.create_buffer(&descriptor))?;
    gpu.queue.write_buffer(&buffer, 0, bytes);
    Ok(gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("arguments"),
        layout: &gpu.pipelines.arguments,
        entries: &[wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &buffer,
                offset: 0,
                size: wgpu::BufferSize::new(u64::from(ARGUMENT_BYTES)),
            }),
        }],
    }))
}

fn buffer(gpu: &Gpu, bytes: u64) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes.max(4),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

fn texture(gpu: &Gpu, width: u32, height: u32) -> wgpu::Texture {
    gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: TEXTURE_FORMAT,
        usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    })
}

fn resource<'a>(
    binding: &PlannedBinding,
    regions: &'a [Stored],
    textures: &'a [wgpu::TextureView],
) -> wgpu::BindingResource<'a> {
    match *binding {
        PlannedBinding::Texture { texture, .. } => wgpu::BindingResource::TextureView(&textures[texture]),
        PlannedBinding::Buffer { region, offset, bytes, .. } => {
            let stored = &regions[region];
            wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &stored.buffer,
                offset: stored.offset + offset,
                size: wgpu::BufferSize::new(bytes),
            })
        }
    }
}
