//! A plan made real on a device: buffers, bind groups and pipelines, replayed with one submit a step.

use super::pipelines::CompiledKernel;
use super::store::{Store, Stored};
use super::{Gpu, GpuError, Readback};
use crate::activity::Stage;
use crate::graph::{Graph, Role};
use crate::kernel::ARGUMENT_BYTES;
use crate::plan::{MemoryReport, Plan, PlannedBinding, Region};
use crate::tensor::{ElementType, HostTensor};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

pub(super) const TEXTURE_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba32Float;

/// Steps that may be queued before the host waits for the oldest.
const STEPS_IN_FLIGHT: usize = 2;

/// A graph on a device, ready to run.
pub struct Program {
    pub(super) gpu: Gpu,
    pub(super) steps: Vec<Step>,
    inputs: HashMap<String, Stored>,
    outputs: HashMap<String, (Stored, ElementType)>,
    slots: Vec<Stored>,
    /// What the kernels write before they read it: slots, and gradients that lie in packs.
    activations: Vec<Stored>,
    textures: Vec<wgpu::Texture>,
    memory: MemoryReport,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
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
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
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
    /// Plans `graph`, compiles its kernels, and allocates its memory, persistent tensors in `store`.
    ///
    /// # Errors
    /// When the device cannot run the graph, or has no memory for it.
    pub fn new(gpu: &Gpu, graph: &Graph, store: &mut Store) -> Result<Program, GpuError> {
        Program::with_spare(gpu, graph, store, Vec::new())
    }

    /// As [`Program::new`], with activations in the memory of those of `other`, as far as they fit: the two never run at
    /// the same time.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub fn beside(gpu: &Gpu, graph: &Graph, store: &mut Store, other: &Program) -> Result<Program, GpuError> {
        let mut spare = other.slots.clone();
        spare.sort_by_key(|slot| slot.bytes);
        Program::with_spare(gpu, graph, store, spare)
    }

    /// `spare` are slots that may be taken, the smallest first.
    fn with_spare(gpu: &Gpu, graph: &Graph, store: &mut Store, mut spare: Vec<Stored>) -> Result<Program, GpuError> {
        let _planning = gpu.activity.enter(Stage::Planning, 0);
        let plan = Plan::new(graph, gpu.profile())?;
        if gpu.info().kind.shares_memory() {
            require_memory(plan.memory.peak())?;
        }
        let kernels = gpu.pipelines.compile(&gpu.device, &plan.steps, &gpu.activity)?;
        let mut regions: Vec<Stored> = Vec::with_capacity(plan.regions.len());
        let mut inputs = HashMap::new();
        let mut slots = Vec::new();
        for (index, region) in plan.regions.iter().enumerate() {
            let stored = match region {
                Region::Persistent { .. } => store.region(graph, &plan, index)?,
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
                    shader: dispatch.kernel.shader,
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
                let stored = Stored { buffer: region.buffer.clone(), offset, bytes };
                Some((name.clone(), (stored, graph.spec(*value).element)))
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
            in_flight: VecDeque::new(),
        })
    }

    /// Device memory of the program, in bytes.
    pub fn memory(&self) -> MemoryReport {
        self.memory
    }

    /// Number of dispatches in a step.
    pub fn dispatches(&self) -> usize {
        self.steps.len()
    }

    /// Sets an input for the next run.
    ///
    /// # Errors
    /// When the graph has no such input that any node reads, or its size is another.
    pub fn write(&self, name: &str, tensor: &HostTensor) -> Result<(), GpuError> {
        let Some(input) = self.inputs.get(name) else {
            return Err(GpuError::UnknownTensor { kind: "input", name: name.to_owned() });
        };
        let given = tensor.bytes().len() as u64;
        if given != input.bytes {
            return Err(GpuError::WrongSize { name: name.to_owned(), expected: input.bytes, given });
        }
        self.gpu.queue.write_buffer(&input.buffer, 0, tensor.bytes());
        Ok(())
    }

    /// Fills every activation, gradient and scratch texture with NaN, so that an element that no kernel
    /// writes is seen.
    ///
    /// # Errors
    /// When the device fails.
    pub fn poison(&self) -> Result<(), GpuError> {
        for Stored { buffer, offset, bytes } in &self.activations {
            let nan = vec![f32::NAN; *bytes as usize / 4];
            self.gpu.queue.write_buffer(buffer, *offset, bytemuck::cast_slice(&nan));
        }
        for texture in &self.textures {
            let row = texture.width() as usize * 4;
            let nan = vec![f32::NAN; row * texture.height() as usize];
            let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(row as u32 * 4), ..Default::default() };
            self.gpu.queue.write_texture(texture.as_image_copy(), bytemuck::cast_slice(&nan), layout, texture.size());
        }
        self.finish_submitted()
    }

    fn finish_submitted(&self) -> Result<(), GpuError> {
        self.gpu.queue.submit([]);
        self.gpu.wait(None)
    }

    /// Whether any node reads the input `name`.
    pub fn has_input(&self, name: &str) -> bool {
        self.inputs.contains_key(name)
    }

    /// Submits one step; returns as soon as few enough steps are queued.
    ///
    /// # Errors
    /// When the device failed in this or an earlier step.
    pub fn run(&mut self) -> Result<(), GpuError> {
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for step in &self.steps {
                step.encode(&mut pass);
            }
        }
        self.in_flight.push_back(self.gpu.queue.submit([encoder.finish()]));
        if self.in_flight.len() > STEPS_IN_FLIGHT {
            let oldest = self.in_flight.pop_front();
            self.gpu.wait(oldest)?;
        }
        self.gpu.check()
    }

    /// Waits until every submitted step has run.
    ///
    /// # Errors
    /// When the device failed.
    pub fn finish(&mut self) -> Result<(), GpuError> {
        self.in_flight.clear();
        self.gpu.wait(None)
    }

    /// Reads an output of the last run, waiting for it.
    ///
    /// # Errors
    /// When the graph has no such output, or the device failed.
    pub fn read(&self, name: &str) -> Result<HostTensor, GpuError> {
        let (readback, element) = self.read_later(name)?;
        Ok(HostTensor::from_bytes(element, &readback.finish(&self.gpu)?))
    }

    /// Starts to read an output of the last run while the device goes on.
    ///
    /// # Errors
    /// When the graph has no such output.
    pub fn read_later(&self, name: &str) -> Result<(Readback, ElementType), GpuError> {
        let (stored, element) =
            self.outputs.get(name).ok_or_else(|| GpuError::UnknownTensor { kind: "output", name: name.to_owned() })?;
        Ok((Readback::start(&self.gpu, &stored.buffer, stored.offset, stored.bytes)?, *element))
    }
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
