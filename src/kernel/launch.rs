//! What an op asks of the GPU: kernels with their bindings and grids, and memory of its own.

use super::bind::{BindingError, bind};
use super::{Constant, DeviceClass, DeviceProfile, Kernel, Unsupported, WIDE};
use crate::tensor::{ElementType, Shapes, TensorSpec};

/// Memory that a dispatch works on: all of it, or a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// What it is part of.
    pub storage: Storage,
    /// First element and number of elements; the whole tensor when absent.
    pub range: Option<(usize, usize)>,
}

/// What an operand is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// An input of the node, from 0.
    Input(usize),
    /// An output of the node, from 0.
    Output(usize),
    /// Memory of this node alone, uninitialised.
    Scratch(usize),
    /// An rgba32float texture of this node alone.
    Texture(usize),
}

impl Operand {
    /// An input of the node, from 0.
    pub fn input(index: usize) -> Operand {
        Storage::Input(index).into()
    }

    /// An output of the node, from 0.
    pub fn output(index: usize) -> Operand {
        Storage::Output(index).into()
    }

    /// The node's first inputs, with the names of their bindings.
    pub fn inputs<'a>(names: &'a [&'static str]) -> impl Iterator<Item = (&'static str, Operand)> + use<'a> {
        names.iter().enumerate().map(|(index, &name)| (name, Operand::input(index)))
    }

    /// Only `count` elements from element `first` on.
    pub fn slice(mut self, first: usize, count: usize) -> Self {
        self.range = Some((first, count));
        self
    }
}

impl From<Storage> for Operand {
    fn from(storage: Storage) -> Self {
        Operand { storage, range: None }
    }
}

/// A kernel that a node runs, with what it works on.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// The shader, specialised.
    pub kernel: Kernel,
    /// What is bound to each of [`Kernel::bindings`], in their order.
    pub operands: Vec<Operand>,
    /// The grid, in workgroups.
    pub workgroups: [u32; 3],
}

/// A texture of four floats per texel, by its size in texels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScratchTexture {
    /// Texels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// The node that is launched, as far as its kernels need to know.
#[derive(Clone, Debug)]
pub struct Site<'a> {
    /// Path of the layer the node was built for.
    pub layer: &'a str,
    /// The op's name.
    pub op: &'static str,
    /// Specs of the node's inputs.
    pub inputs: Vec<&'a TensorSpec>,
    /// Specs of the node's outputs.
    pub outputs: Vec<&'a TensorSpec>,
    /// Which outputs a node or the caller reads.
    pub read: Vec<bool>,
    /// Which inputs the op writes in place.
    pub updates: &'static [usize],
}

/// What a kernel does to each value that it stores, in the words of `activation/epilogue.wgsl`.
#[derive(Clone, Debug)]
pub struct Epilogue {
    /// What the function takes, such as a slope.
    pub constants: Vec<(&'static str, Constant)>,
    /// The function's name, and others that hold with it.
    pub conditions: Vec<&'static str>,
}

/// Collects the dispatches of one node.
pub struct Launch<'a> {
    site: Site<'a>,
    profile: &'a DeviceProfile,
    epilogue: Option<Epilogue>,
    launched: Launched,
    /// The first of its kind.
    fault: Option<BindingError>,
}

/// What a node runs.
#[derive(Debug, Default)]
pub struct Launched {
    /// In the order in which they run.
    pub dispatches: Vec<Dispatch>,
    /// Elements of each scratch tensor.
    pub scratch: Vec<usize>,
    /// Size of each scratch texture.
    pub textures: Vec<ScratchTexture>,
}

/// Invocations in a workgroup of a one-dimensional grid.
pub(crate) const LINEAR_WORKGROUP: u32 = 64;

impl<'a> Launch<'a> {
    /// Nothing yet, for the node at `site` on such a device.
    pub fn new(site: Site<'a>, profile: &'a DeviceProfile) -> Self {
        Launch { site, profile, epilogue: None, launched: Launched::default(), fault: None }
    }

    /// What was collected.
    ///
    /// # Errors
    /// When a launch did not bind what its shader declares.
    pub fn finish(self) -> Result<Launched, BindingError> {
        match self.fault {
            None => Ok(self.launched),
            Some(fault) => Err(fault),
        }
    }

    /// What the plan is made for.
    pub fn profile(&self) -> &'a DeviceProfile {
        self.profile
    }

    /// Spec of an input, from 0.
    pub fn input(&self, index: usize) -> &'a TensorSpec {
        self.site.inputs[index]
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.site.inputs.len()
    }

    /// Spec of an output, from 0.
    pub fn output(&self, index: usize) -> &'a TensorSpec {
        self.site.outputs[index]
    }

    /// Whether a node or the caller reads an output: one that nobody reads need not be written.
    pub fn is_read(&self, output: usize) -> bool {
        self.site.read[output]
    }

    /// Whether an input or output is stored in f16: there is nothing in f32 left that factors could be exact for.
    pub fn is_half(&self) -> bool {
        self.site.inputs.iter().chain(&self.site.outputs).any(|spec| spec.element == ElementType::F16)
    }

    /// Shapes of inputs and outputs.
    pub fn shapes(&self) -> Shapes<'a> {
        Shapes::of(&self.site.inputs, &self.site.outputs)
    }

    /// From now on [`Launch::epilogue`] adds `epilogue`.
    pub fn end_with(&mut self, epilogue: Epilogue) {
        self.epilogue = Some(epilogue);
    }

    /// A kernel that stores the op's output through `activation/epilogue.wgsl`, with what is merged into the op,
    /// if anything is.
    pub fn epilogue(&self, kernel: Kernel) -> Kernel {
        let Some(Epilogue { constants, conditions }) = &self.epilogue else { return kernel };
        let kernel = kernel.constants(constants.iter().cloned());
        conditions.iter().chain(&["activated"]).fold(kernel, |kernel, name| kernel.condition(name, true))
    }

    /// Uninitialised memory of `elements` floats for this node alone.
    pub fn scratch(&mut self, elements: usize) -> Operand {
        self.launched.scratch.push(elements);
        Storage::Scratch(self.launched.scratch.len() - 1).into()
    }

    /// An uninitialised texture of at least `width` x `height` texels of four floats for this node alone.
    pub fn texture(&mut self, width: usize, height: usize) -> Operand {
        // llvmpipe compiles a pipeline anew for each mix of sizes that are and are not powers of two.
        let avoid = |size: usize| (size as u32..).find(|size| !size.is_power_of_two()).unwrap_or(u32::MAX);
        let [width, height] = [width, height].map(avoid);
        self.launched.textures.push(ScratchTexture { width, height });
        Storage::Texture(self.launched.textures.len() - 1).into()
    }

    /// One invocation for each of `count` elements, with an operand for each name that the kernel's shader
    /// declares: the kernel gets the arguments `count` and
    /// `grid_width` (invocations in a row of the grid, which folds into x and y) and the constant
    /// `WORKGROUP`, and finds its element by `lib/grid.wgsl`.
    pub fn linear(
        &mut self,
        kernel: Kernel,
        count: usize,
        operands: impl IntoIterator<Item = (&'static str, Operand)>,
    ) {
        self.linear_by(LINEAR_WORKGROUP, kernel, count, operands);
    }

    /// As [`Launch::linear`], for a kernel whose operands all have `count` elements and that finds the same index in each. On a
    /// GPU an invocation takes four neighbours where the count divides by four ([`WIDE`], `lib/element.wgsl`).
    pub fn elementwise(
        &mut self,
        kernel: Kernel,
        count: usize,
        operands: impl IntoIterator<Item = (&'static str, Operand)>,
    ) {
        let by = self.width(count);
        self.linear(kernel.condition(WIDE, by > 1), count / by, operands);
    }

    /// Neighbouring numbers that an invocation takes at once, of runs of `count`: 4 or 1.
    pub(crate) fn width(&self, count: usize) -> usize {
        let is_wide = self.profile.class == DeviceClass::Gpu && !self.profile.plain_kernels && count.is_multiple_of(4);
        if is_wide { 4 } else { 1 }
    }

    /// As [`Launch::linear`], with a workgroup of `workgroup` invocations.
    pub fn linear_by(
        &mut self,
        workgroup: u32,
        kernel: Kernel,
        count: usize,
        operands: impl IntoIterator<Item = (&'static str, Operand)>,
    ) {
        let workgroups = count.div_ceil(workgroup as usize).max(1) as u64;
        let rows = workgroups.div_ceil(u64::from(self.profile.max_workgroups));
        let columns = workgroups.div_ceil(rows);
        let kernel = kernel
            .argument("count", count)
            .argument("grid_width", columns as u32 * workgroup)
            .constant("WORKGROUP", workgroup);
        self.grid(kernel, [columns as u32, rows as u32, 1], operands);
    }

    /// A grid of workgroups as given, with an operand for each name that the kernel's shader declares.
    pub fn grid(
        &mut self,
        kernel: Kernel,
        workgroups: [u32; 3],
        operands: impl IntoIterator<Item = (&'static str, Operand)>,
    ) {
        match bind(&self.site, &self.launched, self.profile, &kernel, operands) {
            Ok((operands, halves)) => {
                let kernel = Kernel { halves, ..kernel };
                self.launched.dispatches.push(Dispatch { kernel, operands, workgroups });
            }
            Err(error) => {
                self.fault.get_or_insert(error);
            }
        }
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
