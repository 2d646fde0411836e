//! What runs on a device: a shader with what tells its pipelines apart (constants, conditions, and the arguments it
//! reads), its bindings and its grid; and what a device can do, as far as kernels are chosen by it.

mod bind;
mod choices;
mod launch;
mod profile;
mod shader;

pub use bind::{BindingError, BindingFault};
pub use choices::{ChoiceKey, Choices};
pub(crate) use launch::LINEAR_WORKGROUP;
pub use launch::{Dispatch, Epilogue, Launch, Launched, Operand, ScratchTexture, Site, Storage};
pub use profile::{DeviceClass, DeviceProfile, MAX_LOOP_STEPS, MatrixUnits};
pub use shader::{Access, Binding, Condition, Content, Shader, WIDE, read, read_texture, write, write_texture};

use std::fmt;

/// What a layer needs and a device does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer `{layer}`: {op} needs {need}, which this device does not have")]
pub struct Unsupported {
    /// Path of the layer.
    pub layer: String,
    /// Name of the op.
    pub op: &'static str,
    /// What is missing, after "needs".
    pub need: String,
}

/// A value that is written into a shader as `const`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Constant {
    /// Such as a size.
    U32(u32),
    /// Such as a padding.
    I32(i32),
    /// Such as a slope.
    F32(f32),
    /// Such as whether there is a bias.
    Bool(bool),
    /// Sizes or strides of a walk, as `lib/strided.wgsl` takes them.
    U32x6([u32; 6]),
    /// Looked up by index.
    Table(Vec<u32>),
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

impl From<Vec<usize>> for Constant {
    fn from(values: Vec<usize>) -> Self {
        Constant::Table(values.into_iter().map(|value| u32::try_from(value).unwrap_or(u32::MAX)).collect())
    }
}

/// Type and value of an array.
fn table(f: &mut fmt::Formatter<'_>, values: &[u32]) -> fmt::Result {
    let count = values.len();
    let values: Vec<String> = values.iter().map(|value| format!("{value}u")).collect();
    write!(f, "array<u32, {count}> = array<u32, {count}>({})", values.join(", "))
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::U32(value) => write!(f, "u32 = {value}u"),
            Constant::I32(value) => write!(f, "i32 = {value}i"),
            // The shortest decimal that reads back as the same float.
            Constant::F32(value) => write!(f, "f32 = {value:?}f"),
            Constant::Bool(value) => write!(f, "bool = {value}"),
            Constant::U32x6(values) => table(f, values),
            Constant::Table(values) => table(f, values),
        }
    }
}

/// A value that a shader reads when it runs, so that kernels which differ in nothing else share a
/// pipeline: right for sizes that no inner loop divides by.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Argument {
    /// Such as the number of elements.
    U32(u32),
    /// Such as an offset.
    I32(i32),
    /// Such as a factor.
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
///
/// ```
/// use tilewright::kernel::{Kernel, Shader, read, write};
///
/// static SCALE: Shader = Shader::new("elementwise/scale", &[read("x"), write("y")]);
///
/// let kernel = Kernel::new(&SCALE).constant("FACTOR", 0.5).argument("count", 100_usize);
/// assert_eq!(kernel.bindings().count(), 2);
/// // Kernels that differ in their arguments share a pipeline.
/// assert_eq!(kernel.form(), Kernel::new(&SCALE).constant("FACTOR", 0.5).argument("count", 7_usize).form());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// The text, and what it binds.
    pub shader: &'static Shader,
    /// The shader that stands for `package::operands` in it: the load and store functions of a tile body, whose
    /// bindings are theirs.
    pub operands: Option<&'static Shader>,
    /// What is written into the text as `package::constants`.
    pub constants: Vec<(&'static str, Constant)>,
    /// Names that hold in the shader's `@if`s.
    pub conditions: Vec<&'static str>,
    /// Members of the shader's `package::arguments`, in their order.
    pub arguments: Vec<(&'static str, Argument)>,
    /// Names of the bindings whose floats are stored in f16, as the launch finds them: in the order of the bindings.
    pub halves: Vec<&'static str>,
    /// The arguments are constants too: a pipeline of its own, and no division by what is not known.
    pub specialised: bool,
}

/// Bytes of a uniform binding that holds one kernel's arguments, and the distance between two.
pub const ARGUMENT_BYTES: u32 = 256;

impl Kernel {
    /// The shader without constants, conditions and arguments.
    pub fn new(shader: &'static Shader) -> Self {
        Kernel {
            shader,
            operands: None,
            constants: Vec::new(),
            conditions: Vec::new(),
            arguments: Vec::new(),
            halves: Vec::new(),
            specialised: false,
        }
    }

    /// With `shader` in place of `package::operands`.
    pub fn operands(mut self, shader: &'static Shader) -> Self {
        self.operands = Some(shader);
        self
    }

    /// With a constant more.
    pub fn constant(mut self, name: &'static str, value: impl Into<Constant>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    /// With several constants more.
    pub fn constants<T: Into<Constant>>(mut self, constants: impl IntoIterator<Item = (&'static str, T)>) -> Self {
        self.constants.extend(constants.into_iter().map(|(name, value)| (name, value.into())));
        self
    }

    /// With the condition `name`, if it `holds`.
    pub fn condition(mut self, name: &'static str, holds: bool) -> Self {
        if holds {
            self.conditions.push(name);
        }
        self
    }

    /// As [`Kernel::condition`], of several.
    pub fn conditions(self, all: impl IntoIterator<Item = (&'static str, bool)>) -> Self {
        all.into_iter().fold(self, |kernel, (name, holds)| kernel.condition(name, holds))
    }

    /// With an argument more.
    pub fn argument(mut self, name: &'static str, value: impl Into<Argument>) -> Self {
        self.arguments.push((name, value.into()));
        self
    }

    /// With several arguments more.
    pub fn arguments<T: Into<Argument>>(mut self, arguments: impl IntoIterator<Item = (&'static str, T)>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|(name, value)| (name, value.into())));
        self
    }

    /// With the arguments as constants, if `holds`.
    pub fn specialise(mut self, holds: bool) -> Self {
        self.specialised = holds;
        self
    }

    /// What the kernel reads and writes under its conditions, in the order in which it is numbered.
    pub fn bindings(&self) -> impl Iterator<Item = Binding> {
        let operands = self.operands.map_or(&[][..], |operands| operands.bindings);
        let bindings = self.shader.bindings.iter().chain(operands);
        let bindings = bindings.filter_map(|binding| binding.under(&self.conditions));
        bindings.map(|binding| binding.in_half(self.halves.contains(&binding.name)))
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
