//! What an op asks of the GPU: kernels, their constants, their bindings and grids.

use super::{DeviceProfile, PlanError};
use crate::graph::{Graph, Node};
use crate::ops::Shapes;
use crate::tensor::{Shape, TensorSpec};
use std::fmt;

/// A value that is written into a shader as `const`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constant {
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    /// Sizes or strides of a walk, as `lib/strided.wgsl` takes them.
    U32x6([u32; 6]),
}

impl From<u32> for Constant {
    fn from(value: u32) -> Self {
        Constant::U32(value)
    }
}

impl From<usize> for Constant {
    /// Sizes fit u32: the plan refuses larger tensors before a shader sees them.
    fn from(value: usize) -> Self {
        Constant::U32(u32::try_from(value).unwrap_or(u32::MAX))
    }
}

impl From<i32> for Constant {
    fn from(value: i32) -> Self {
        Constant::I32(value)
    }
}

impl From<f32> for Constant {
    fn from(value: f32) -> Self {
        Constant::F32(value)
    }
}

impl From<bool> for Constant {
    fn from(value: bool) -> Self {
        Constant::Bool(value)
    }
}

impl From<[usize; 6]> for Constant {
    fn from(values: [usize; 6]) -> Self {
        Constant::U32x6(values.map(|value| u32::try_from(value).unwrap_or(u32::MAX)))
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::U32(value) => write!(f, "u32 = {value}u"),
            Constant::I32(value) => write!(f, "i32 = {value}i"),
            // The shortest decimal that reads back as the same float.
            Constant::F32(value) => write!(f, "f32 = {value:?}f"),
            Constant::Bool(value) => write!(f, "bool = {value}"),
            Constant::U32x6(values) => {
                let values = values.map(|value| format!("{value}u"));
                write!(f, "array<u32, 6> = array<u32, 6>({})", values.join(", "))
            }
        }
    }
}

/// A value that a shader reads when it runs, so that kernels which differ in nothing else share a
/// pipeline: right for sizes that no inner loop divides by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Argument {
    U32(u32),
    I32(i32),
    F32(f32),
}

impl Argument {
    /// The WGSL type.
    pub fn type_name(self) -> &'static str {
        match self {
            Argument::U32(_) => "u32",
            Argument::I32(_) => "i32",
            Argument::F32(_) => "f32",
        }
    }

    /// As a WGSL expression.
    pub fn expression(self) -> String {
        match self {
            Argument::U32(value) => format!("{value}u"),
            Argument::I32(value) => format!("{value}i"),
            // The shortest decimal that reads back as the same float.
            Argument::F32(value) => format!("{value:?}f"),
        }
    }

    /// As it lies in a uniform buffer.
    pub fn word(self) -> u32 {
        match self {
            Argument::U32(value) => value,
            Argument::I32(value) => value.cast_unsigned(),
            Argument::F32(value) => value.to_bits(),
        }
    }
}

impl From<usize> for Argument {
    fn from(value: usize) -> Self {
        Argument::U32(u32::try_from(value).unwrap_or(u32::MAX))
    }
}

impl From<u32> for Argument {
    fn from(value: u32) -> Self {
        Argument::U32(value)
    }
}

impl From<i32> for Argument {
    fn from(value: i32) -> Self {
        Argument::I32(value)
    }
}

impl From<f32> for Argument {
    fn from(value: f32) -> Self {
        Argument::F32(value)
    }
}

/// A shader with its constants and arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// Path under `shaders/`, without the ending.
    pub shader: &'static str,
    /// The shader that stands for `package::operands` in it: the load and store functions of a tile body.
    pub operands: Option<&'static str>,
    pub constants: Vec<(&'static str, Constant)>,
    /// Names that hold in the shader's `@if`s.
    pub conditions: Vec<&'static str>,
    /// Members of the shader's `package::arguments`, in their order.
    pub arguments: Vec<(&'static str, Argument)>,
    /// The arguments are constants too: a pipeline of its own, and no division by what is not known.
    pub specialised: bool,
}

/// Bytes of a uniform binding that holds one kernel's arguments, and the distance between two.
pub const ARGUMENT_BYTES: u32 = 256;

impl Kernel {
    pub fn new(shader: &'static str) -> Self {
        Kernel {
            shader,
            operands: None,
            constants: Vec::new(),
            conditions: Vec::new(),
            arguments: Vec::new(),
            specialised: false,
        }
    }

    pub fn operands(mut self, shader: &'static str) -> Self {
        self.operands = Some(shader);
        self
    }

    pub fn constant(mut self, name: &'static str, value: impl Into<Constant>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    pub fn constants<T: Into<Constant>>(mut self, constants: impl IntoIterator<Item = (&'static str, T)>) -> Self {
        self.constants.extend(constants.into_iter().map(|(name, value)| (name, value.into())));
        self
    }

    pub fn condition(mut self, name: &'static str, holds: bool) -> Self {
        if holds {
            self.conditions.push(name);
        }
        self
    }

    pub fn argument(mut self, name: &'static str, value: impl Into<Argument>) -> Self {
        self.arguments.push((name, value.into()));
        self
    }

    pub fn arguments<T: Into<Argument>>(mut self, arguments: impl IntoIterator<Item = (&'static str, T)>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|(name, value)| (name, value.into())));
        self
    }

    /// With the arguments as constants, if `holds`.
    pub fn specialise(mut self, holds: bool) -> Self {
        self.specialised = holds;
        self
    }

    /// The kernel less the values that it reads when it runs: kernels of one form share a pipeline.
    pub fn form(&self) -> Kernel {
        let mut form = self.clone();
        if form.specialised {
            return form;
        }
        for (_, value) in &mut form.arguments {
            *value = match value {
                Argument::U32(_) => Argument::U32(0),
                Argument::I32(_) => Argument::I32(0),
                Argument::F32(_) => Argument::F32(0.0),
            };
        }
        form
    }
}

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

/// Collects the dispatches of one node.
pub struct Launch<'a> {
    graph: &'a Graph,
    node: &'a Node,
    profile: &'a DeviceProfile,
    launched: Launched,
}

#[derive(Default)]
pub(super) struct Launched {
    pub dispatches: Vec<Dispatch>,
    /// Elements of each scratch tensor.
    pub scratch: Vec<usize>,
    pub textures: Vec<ScratchTexture>,
}

/// Invocations in a workgroup of a one-dimensional grid.
const LINEAR_WORKGROUP: u32 = 64;

impl<'a> Launch<'a> {
    pub(super) fn new(graph: &'a Graph, node: &'a Node, profile: &'a DeviceProfile) -> Self {
        Launch { graph, node, profile, launched: Launched::default() }
    }

    pub(super) fn finish(self) -> Launched {
        self.launched
    }

    pub fn profile(&self) -> &'a DeviceProfile {
        self.profile
    }

    pub fn input(&self, index: usize) -> &'a TensorSpec {
        self.graph.spec(self.node.inputs[index])
    }

    pub fn inputs(&self) -> usize {
        self.node.inputs.len()
    }

    pub fn output(&self, index: usize) -> &'a TensorSpec {
        self.graph.spec(self.node.outputs[index])
    }

    /// Whether a node or the caller reads an output: one that nobody reads need not be written.
    pub fn is_read(&self, output: usize) -> bool {
        let value = self.node.outputs[output];
        self.graph.nodes().iter().any(|node| node.inputs.contains(&value))
            || self.graph.outputs().iter().any(|&(_, read)| read == value)
    }

    /// Shapes of inputs and outputs.
    pub fn shapes(&self) -> Shapes<'a> {
        let shape = |value: &crate::graph::Value| -> &'a Shape { self.graph.shape(*value) };
        Shapes {
            inputs: self.node.inputs.iter().map(shape).collect(),
            outputs: self.node.outputs.iter().map(shape).collect(),
        }
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
    pub fn expect_loop(&self, steps: usize) -> Result<(), PlanError> {
        let limit = self.profile.max_loop_steps;
        match steps <= limit {
            true => Ok(()),
            false => Err(self.unsupported(format!("loops of {steps} steps (more than {limit})"))),
        }
    }

    /// The error for what this device cannot do.
    pub fn unsupported(&self, need: impl Into<String>) -> PlanError {
        PlanError::Unsupported { layer: self.node.layer.clone(), op: self.node.op.name(), need: need.into() }
    }
}
