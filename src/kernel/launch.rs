//! What an op asks of the GPU: kernels with their bindings and grids, and memory of its own.

use super::{Constant, DeviceProfile, Kernel, Unsupported};
use crate::tensor::{Shapes, TensorSpec};

/// What a binding refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    Input(usize),
    Output(usize),
    /// Memory of this node alone, uninitialised.
    Scratch(usize),
    /// An rgba32float texture of this node alone.
    Texture(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    Write,
}

/// One binding of a dispatch; they are numbered in the order they are given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Binding {
    pub operand: Operand,
    pub access: Access,
    /// First element and number of elements; the whole tensor when absent.
    pub range: Option<(usize, usize)>,
}

impl Operand {
    pub fn read(self) -> Binding {
        Binding { operand: self, access: Access::Read, range: None }
    }

    pub fn write(self) -> Binding {
        Binding { operand: self, access: Access::Write, range: None }
    }
}

impl Binding {
    /// Only `count` elements from element `first` on.
    pub fn slice(mut self, first: usize, count: usize) -> Self {
        self.range = Some((first, count));
        self
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    pub kernel: Kernel,
    pub bindings: Vec<Binding>,
    pub workgroups: [u32; 3],
}

/// A texture of four floats a texel, by its size in texels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScratchTexture {
    pub width: u32,
    pub height: u32,
}

/// The node that is launched, as far as its kernels need to know.
#[derive(Clone, Debug)]
pub struct Site<'a> {
    /// Path of the layer the node was built for.
    pub layer: &'a str,
    /// The op's name.
    pub op: &'static str,
    pub inputs: Vec<&'a TensorSpec>,
    pub outputs: Vec<&'a TensorSpec>,
    /// Which outputs a node or the caller reads.
    pub read: Vec<bool>,
}

/// What a kernel does to each value that it stores, in the words of `activation/epilogue.wgsl`.
#[derive(Clone, Debug)]
pub struct Epilogue {
    pub constants: Vec<(&'static str, Constant)>,
    pub conditions: Vec<&'static str>,
}

/// Collects the dispatches of one node.
pub struct Launch<'a> {
    site: Site<'a>,
    profile: &'a DeviceProfile,
    epilogue: Option<Epilogue>,
    launched: Launched,
}

/// What a node runs.
#[derive(Debug, Default)]
pub struct Launched {
    pub dispatches: Vec<Dispatch>,
    /// Elements of each scratch tensor.
    pub scratch: Vec<usize>,
    pub textures: Vec<ScratchTexture>,
}

/// Invocations in a workgroup of a one-dimensional grid.
const LINEAR_WORKGROUP: u32 = 64;

impl<'a> Launch<'a> {
    pub fn new(site: Site<'a>, profile: &'a DeviceProfile) -> Self {
        Launch { site, profile, epilogue: None, launched: Launched::default() }
    }

    /// What was collected.
    pub fn finish(self) -> Launched {
        self.launched
    }

    pub fn profile(&self) -> &'a DeviceProfile {
        self.profile
    }

    pub fn input(&self, index: usize) -> &'a TensorSpec {
        self.site.inputs[index]
    }

    pub fn inputs(&self) -> usize {
        self.site.inputs.len()
    }

    pub fn output(&self, index: usize) -> &'a TensorSpec {
        self.site.outputs[index]
    }

    /// Whether a node or the caller reads an output: one that nobody reads need not be written.
    pub fn is_read(&self, output: usize) -> bool {
        self.site.read[output]
    }

    /// Shapes of inputs and outputs.
    pub fn shapes(&self) -> Shapes<'a> {
        Shapes {
            inputs: self.site.inputs.iter().map(|spec| &spec.shape).collect(),
            outputs: self.site.outputs.iter().map(|spec| &spec.shape).collect(),
        }
    }

    /// From now on [`Launch::epilogue`] adds `epilogue`.
    pub fn end_with(&mut self, epilogue: Epilogue) {
        self.epilogue = Some(epilogue);
    }

    /// A kernel that stores the op's output through `activation/epilogue.wgsl`, with what is merged into the op,
    /// if anything is.
    pub fn epilogue(&self, kernel: Kernel) -> Kernel {
        let Some(Epilogue { constants, conditions }) = &self.epilogue else { return kernel };
        let kernel = kernel.constants(constants.iter().copied());
        conditions.iter().chain(&["activated"]).fold(kernel, |kernel, name| kernel.condition(name, true))
    }

    /// Uninitialised memory of `elements` floats for this node alone.
    pub fn scratch(&mut self, elements: usize) -> Operand {
        self.launched.scratch.push(elements);
        Operand::Scratch(self.launched.scratch.len() - 1)
    }

    /// An uninitialised texture of at least `width` x `height` texels of four floats for this node alone.
    pub fn texture(&mut self, width: usize, height: usize) -> Operand {
        // llvmpipe compiles a pipeline anew for each mix of sizes that are and are not powers of two.
        let avoid = |size: usize| (size as u32..).find(|size| !size.is_power_of_two()).unwrap_or(u32::MAX);
        let [width, height] = [width, height].map(avoid);
        self.launched.textures.push(ScratchTexture { width, height });
        Operand::Texture(self.launched.textures.len() - 1)
    }

    /// One invocation for each of `count` elements: the kernel gets the arguments `count` and
    /// `grid_width` (invocations in a row of the grid, which folds into x and y) and the constant
    /// `WORKGROUP`, and finds its element by `lib/grid.wgsl`.
    pub fn linear(&mut self, kernel: Kernel, count: usize, bindings: impl IntoIterator<Item = Binding>) {
        self.linear_by(LINEAR_WORKGROUP, kernel, count, bindings);
    }

    /// As [`Launch::linear`], with a workgroup of `workgroup` invocations.
    pub fn linear_by(
        &mut self,
        workgroup: u32,
        kernel: Kernel,
        count: usize,
        bindings: impl IntoIterator<Item = Binding>,
    ) {
        let workgroups = count.div_ceil(workgroup as usize).max(1) as u64;
        let rows = workgroups.div_ceil(u64::from(self.profile.max_workgroups));
        let columns = workgroups.div_ceil(rows);
        let kernel = kernel
            .argument("count", count)
            .argument("grid_width", columns as u32 * workgroup)
            .constant("WORKGROUP", workgroup);
        self.grid(kernel, [columns as u32, rows as u32, 1], bindings);
    }

    /// A grid of workgroups as given.
    pub fn grid(&mut self, kernel: Kernel, workgroups: [u32; 3], bindings: impl IntoIterator<Item = Binding>) {
        self.launched.dispatches.push(Dispatch { kernel, bindings: bindings.into_iter().collect(), workgroups });
    }

    /// Refuses a kernel whose loops take `steps` steps in one invocation where this device would end
    /// them early.
    ///
    /// # Errors
    /// When the device does not run so many steps.
    pub fn expect_loop(&self, steps: usize) -> Result<(), Unsupported> {
        let limit = self.profile.max_loop_steps;
        match steps <= limit {
            true => Ok(()),
            false => Err(self.unsupported(format!("loops of {steps} steps (more than {limit})"))),
        }
    }

    /// The error for what this device cannot do.
    pub fn unsupported(&self, need: impl Into<String>) -> Unsupported {
        Unsupported { layer: self.site.layer.to_owned(), op: self.site.op, need: need.into() }
    }
}
