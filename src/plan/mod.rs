//! Everything that is decided before the first step: one list of dispatches, one memory slot a
//! tensor. A plan knows no device, only its [`DeviceProfile`], so it can be made and checked
//! without one.

mod memory;

pub use memory::{MemoryReport, Place, Region};

use crate::graph::{Graph, Node, Pass};
use crate::kernel::{
    ARGUMENT_BYTES, Access, Binding, BindingError, Content, DeviceProfile, Kernel, Launch, Operand, ScratchTexture,
    Site, Storage, Unsupported,
};
use crate::setting::Setting;
use crate::tensor::ElementType;
use memory::Memory;
use std::collections::HashMap;

/// A graph that cannot be run on a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum PlanError {
    #[error(
        "layer `{layer}`: tensor of {bytes} bytes passes this device's limit of {limit} bytes a binding; use a smaller batch, {}, or smaller images",
        Setting("micro_batch")
    )]
    TensorTooLarge { layer: String, bytes: u64, limit: u64 },
    #[error(
        "tensor `{tensor}` is stored in f16, which this device does not have; use {}, or another device of \
         `tilewright devices`",
        Setting("precision").to("f32")
    )]
    NoHalf { tensor: String },
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    #[error(transparent)]
    Binding(#[from] BindingError),
}

/// One step, ready to be replayed.
///
/// ```
/// use tilewright::kernel::{DeviceClass, DeviceProfile};
/// use tilewright::models::{self, ModelOptions};
/// use tilewright::nn::Mode;
/// use tilewright::plan::Plan;
///
/// // What a GPU with no more than WebGPU's limits would run, without having one.
/// let graph = models::find("lenet5")?.graph(&ModelOptions::new(), 32, Mode::Eval)?.graph;
/// let plan = Plan::new(&graph, &DeviceProfile::webgpu_defaults(DeviceClass::Gpu))?;
/// let shaders: Vec<&str> = plan.steps.iter().map(|step| step.kernel.shader.name).collect();
/// assert_eq!(shaders[0], "conv/workgroup_tile");
/// assert!(plan.memory.peak() < 8 << 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// Where each tensor of the graph lives, by its index; `None` for what no live node touches.
    pub places: Vec<Option<Place>>,
    /// Regions of memory, in the order [`Region`]s are numbered.
    pub regions: Vec<Region>,
    /// Sizes of the scratch textures, shared by all nodes.
    pub textures: Vec<ScratchTexture>,
    /// What is run, in this order.
    pub steps: Vec<PlannedDispatch>,
    /// The arguments of all dispatches, in blocks of [`ARGUMENT_BYTES`].
    pub arguments: Vec<u32>,
    /// What all of it takes.
    pub memory: MemoryReport,
}

/// A dispatch with its operands resolved to places.
#[derive(Debug)]
pub struct PlannedDispatch {
    /// The shader, specialised.
    pub kernel: Kernel,
    /// What is bound to each of [`Kernel::bindings`], in their order.
    pub bindings: Vec<PlannedBinding>,
    /// The grid, in workgroups.
    pub workgroups: [u32; 3],
    /// Where the kernel's arguments begin in the plan's, in bytes, if it has any.
    pub arguments: Option<u32>,
    /// Index of the graph's node.
    pub node: usize,
    /// Path of the layer that the node belongs to.
    pub layer: String,
    /// The part of the step that the node belongs to.
    pub pass: Pass,
}

/// Memory that a kernel reads or writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PlannedBinding {
    /// A part of a region.
    Buffer {
        /// Index in [`Plan::regions`].
        region: usize,
        /// Where it starts in the region, in bytes.
        offset: u64,
        /// Its size.
        bytes: u64,
        /// Whether the kernel writes it.
        access: Access,
    },
    /// A scratch texture.
    Texture {
        /// Index in [`Plan::textures`].
        texture: usize,
        /// Whether the kernel writes it.
        access: Access,
    },
}

impl Plan {
    /// Merges activations into other kernels, chooses kernels, lays out memory and orders the dispatches of `graph` for a device.
    ///
    /// # Errors
    /// When a node cannot run on such a device; the error names the layer and the limit.
    pub fn new(graph: &Graph, profile: &DeviceProfile) -> Result<Plan, PlanError> {
        let half = graph.tensors().iter().find(|tensor| tensor.spec.element == ElementType::F16);
        if let (Some(half), false) = (half, profile.half) {
            return Err(PlanError::NoHalf { tensor: half.name.clone() });
        }
        let graph = &graph.fuse_activations();
        let live = graph.live_nodes();
        let read = read_tensors(graph);
        let mut launches = Vec::new();
        for (index, node) in graph.nodes().iter().enumerate() {
            if live[index] && !node.op.is_view() {
                let mut launch = Launch::new(site(graph, node, &read), profile);
                node.op.launch(&mut launch)?;
                launches.push((index, launch.finish()?));
            }
        }
        let mut scratch = vec![Vec::new(); graph.nodes().len()];
        launches.iter().for_each(|(index, launched)| scratch[*index].clone_from(&launched.scratch));
        let memory = Memory::new(graph, &live, &scratch);
        let mut textures: Vec<ScratchTexture> = Vec::new();
        let mut arguments = Arguments::default();
        let mut steps = Vec::new();
        for (index, launched) in launches {
            let node = &graph.nodes()[index];
            let texture_ids = share_textures(&mut textures, &launched.textures);
            for dispatch in launched.dispatches {
                let resolve = |(binding, operand): (Binding, &Operand)| {
                    let element = match binding.content {
                        Content::Buffer { element, .. } => element,
                        Content::Texture => ElementType::F32,
                    };
                    let place = match operand.storage {
                        Storage::Texture(texture) => {
                            return Ok(PlannedBinding::Texture {
                                texture: texture_ids[texture],
                                access: binding.access,
                            });
                        }
                        Storage::Input(input) => memory.place(node.inputs[input]),
                        Storage::Output(output) => memory.place(node.outputs[output]),
                        Storage::Scratch(which) => memory.scratch(index)[which],
                    };
                    let range = operand.range.map(|range| in_bytes(range, element));
                    bound(place, range, binding.access, profile, &node.layer)
                };
                let bindings = dispatch
                    .kernel
                    .bindings()
                    .zip(&dispatch.operands)
                    .map(resolve)
                    .collect::<Result<_, PlanError>>()?;
                steps.push(PlannedDispatch {
                    arguments: arguments.place(&dispatch.kernel),
                    kernel: dispatch.kernel,
                    bindings,
                    workgroups: dispatch.workgroups,
                    node: index,
                    layer: node.layer.clone(),
                    pass: node.pass,
                });
            }
        }
        let (places, regions, memory) = memory.finish(&textures);
        Ok(Plan { places, regions, textures, steps, arguments: arguments.words, memory })
    }
}

/// Whether a node or the caller reads each tensor.
fn read_tensors(graph: &Graph) -> Vec<bool> {
    let mut read = vec![false; graph.tensors().len()];
    let inputs = graph.nodes().iter().flat_map(|node| &node.inputs);
    let outputs = graph.outputs().iter().map(|(_, value)| value);
    inputs.chain(outputs).for_each(|value| read[value.index()] = true);
    read
}

fn site<'a>(graph: &'a Graph, node: &'a Node, read: &[bool]) -> Site<'a> {
    Site {
        layer: &node.layer,
        op: node.op.name(),
        inputs: node.inputs.iter().map(|&value| graph.spec(value)).collect(),
        outputs: node.outputs.iter().map(|&value| graph.spec(value)).collect(),
        read: node.outputs.iter().map(|value| read[value.index()]).collect(),
        updates: node.op.updates(),
    }
}

/// Where a run of elements, given by its first one and its number, begins, and how long it is: a multiple of four.
fn in_bytes((first, count): (usize, usize), element: ElementType) -> (u64, u64) {
    (first as u64 * element.bytes(), (count as u64 * element.bytes()).next_multiple_of(4))
}

/// A place or a part of it, in bytes, as a binding, refused when the device cannot bind so much.
fn bound(
    place: Place,
    range: Option<(u64, u64)>,
    access: Access,
    profile: &DeviceProfile,
    layer: &str,
) -> Result<PlannedBinding, PlanError> {
    let (offset, bytes) = match range {
        Some((first, bytes)) => (place.offset + first, bytes),
        None => (place.offset, place.bytes),
    };
    if bytes > profile.max_binding_bytes {
        return Err(PlanError::TensorTooLarge { layer: layer.to_owned(), bytes, limit: profile.max_binding_bytes });
    }
    Ok(PlannedBinding::Buffer { region: place.region, offset, bytes, access })
}

/// Blocks of arguments, equal ones kept once.
#[derive(Default)]
struct Arguments {
    words: Vec<u32>,
    known: HashMap<Vec<u32>, u32>,
}

impl Arguments {
    /// Offset in bytes of a kernel's block.
    fn place(&mut self, kernel: &Kernel) -> Option<u32> {
        let block: Vec<u32> = kernel.arguments.iter().map(|(_, value)| value.word()).collect();
        if block.is_empty() || kernel.specialised {
            return None;
        }
        let next = (self.words.len() * size_of::<u32>()) as u32;
        let offset = *self.known.entry(block.clone()).or_insert(next);
        if offset == next {
            self.words.extend(block);
            self.words.resize((next + ARGUMENT_BYTES) as usize / size_of::<u32>(), 0);
        }
        Some(offset)
    }
}

/// Gives each texture of a node a place among the plan's, of equal size and not yet taken by the node.
fn share_textures(pool: &mut Vec<ScratchTexture>, wanted: &[ScratchTexture]) -> Vec<usize> {
    let mut taken = Vec::with_capacity(wanted.len());
    for texture in wanted {
        let free = (0..pool.len()).find(|index| pool[*index] == *texture && !taken.contains(index));
        taken.push(free.unwrap_or_else(|| {
            pool.push(*texture);
            pool.len() - 1
        }));
    }
    taken
}
