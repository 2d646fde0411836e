//! Shaders as Rust declares them: the file, and by name what it reads and writes.

use crate::tensor::ElementType;
use std::fmt;

/// A WGSL shader and its bindings, declared once, as a `static` beside the op that launches it:
///
/// ```
/// use tilewright::kernel::{Shader, read, write};
///
/// static FORWARD: Shader =
///     Shader::new("local_response_norm/forward", &[read("x"), write("y"), write("sums").when("keeps_sums")]);
/// ```
///
/// The shader imports them by name from `package::bindings`, which is written from this declaration, and a launch binds
/// tensors by name: nothing else knows their numbers, and nothing else says how they are accessed.
pub struct Shader {
    /// Path under `shaders/` without the ending; for a shader with a text of its own, the path it can be imported by.
    pub name: &'static str,
    /// The WGSL text; `None` for a file under `shaders/`.
    pub text: Option<&'static str>,
    /// In the order in which they are numbered.
    pub bindings: &'static [Binding],
}

impl Shader {
    /// The shader in `shaders/{name}.wgsl`.
    pub const fn new(name: &'static str, bindings: &'static [Binding]) -> Shader {
        Shader { name, text: None, bindings }
    }

    /// A shader that is none of this crate's: `text` is its WGSL, most easily by `include_str!`. It imports from
    /// `package::bindings`, `package::constants`, `package::arguments` and `package::lib` as the crate's own do.
    pub const fn with_text(name: &'static str, text: &'static str, bindings: &'static [Binding]) -> Shader {
        Shader { name, text: Some(text), bindings }
    }
}

impl PartialEq for Shader {
    /// Mostly one `static` is held against itself.
    fn eq(&self, other: &Shader) -> bool {
        std::ptr::eq(self, other)
            || (self.name == other.name && self.text == other.text && self.bindings == other.bindings)
    }
}

impl Eq for Shader {}

impl fmt::Debug for Shader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shader({:?})", self.name)
    }
}

/// Whether a shader reads or writes a binding; what it writes it may read as well, but for textures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It is only read.
    Read,
    /// It is written, and may be read.
    Write,
}

/// What lies at a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Numbers, `lanes` of them in each element of the shader's array.
    Buffer {
        /// Type of one number.
        element: ElementType,
        /// 1, 2 or 4.
        lanes: usize,
    },
    /// Texels of four floats.
    Texture,
}

/// One name of a shader's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The name of the variable in WGSL.
    pub name: &'static str,
    /// Whether the shader writes it.
    pub access: Access,
    /// Type of what lies there.
    pub content: Content,
    /// When the shader has the binding; always, if `None`.
    pub condition: Option<Condition>,
    /// Whether its numbers come by four in a kernel with the condition [`WIDE`].
    pub wide: bool,
    /// A condition under which they come one by one in such a kernel too.
    pub narrow: Option<&'static str>,
}

/// The condition of a kernel whose invocations take four neighbouring numbers each, as a GPU likes to load them.
pub const WIDE: &str = "wide";

/// A condition of a kernel, and whether it is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// As it stands in the shader's `@if`.
    pub name: &'static str,
    /// Whether it must be true or false.
    pub holds: bool,
}

impl Condition {
    /// Whether the condition is met where those of `conditions` hold.
    pub fn is_met(self, conditions: &[&str]) -> bool {
        conditions.contains(&self.name) == self.holds
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.name, if self.holds { "holds" } else { "does not hold" })
    }
}

/// Floats that a shader reads.
pub const fn read(name: &'static str) -> Binding {
    Binding { name, access: Access::Read, content: FLOATS, condition: None, wide: false, narrow: None }
}

/// Floats that a shader writes, or reads and writes.
pub const fn write(name: &'static str) -> Binding {
    Binding { name, access: Access::Write, content: FLOATS, condition: None, wide: false, narrow: None }
}

/// A texture of four floats per texel that a shader reads.
pub const fn read_texture(name: &'static str) -> Binding {
    Binding { name, access: Access::Read, content: Content::Texture, condition: None, wide: false, narrow: None }
}

/// A texture of four floats per texel that a shader writes.
pub const fn write_texture(name: &'static str) -> Binding {
    Binding { name, access: Access::Write, content: Content::Texture, condition: None, wide: false, narrow: None }
}

const FLOATS: Content = Content::Buffer { element: ElementType::F32, lanes: 1 };

impl Binding {
    /// Only where the condition holds.
    pub const fn when(mut self, condition: &'static str) -> Binding {
        self.condition = Some(Condition { name: condition, holds: true });
        self
    }

    /// Only where the condition does not hold.
    pub const fn unless(mut self, condition: &'static str) -> Binding {
        self.condition = Some(Condition { name: condition, holds: false });
        self
    }

    /// Numbers of u32 instead of floats.
    pub const fn u32(self) -> Binding {
        self.as_array(ElementType::U32, self.lanes())
    }

    /// Floats that are stored in f16, where `holds`. The shader's text says nothing of it: what it loads is made f32, and
    /// what it stores f16, when the kernel is put together ([`crate::shader`]).
    pub(super) const fn in_half(self, holds: bool) -> Binding {
        if holds { self.as_array(ElementType::F16, self.lanes()) } else { self }
    }

    /// Numbers in pairs: `array<vec2<f32>>`.
    pub const fn vec2(self) -> Binding {
        self.as_array(self.element(), 2)
    }

    /// Numbers by four: `array<vec4<f32>>`.
    pub const fn vec4(self) -> Binding {
        self.as_array(self.element(), 4)
    }

    /// Numbers by four where the kernel has the condition [`WIDE`], else one by one.
    pub const fn wide(mut self) -> Binding {
        self.wide = true;
        self
    }

    /// As [`Binding::wide`], but one by one under the condition: where all four that a kernel takes are the same number.
    pub const fn wide_unless(self, condition: &'static str) -> Binding {
        Binding { narrow: Some(condition), ..self.wide() }
    }

    const fn as_array(mut self, element: ElementType, lanes: usize) -> Binding {
        self.content = Content::Buffer { element, lanes };
        self
    }

    const fn element(self) -> ElementType {
        match self.content {
            Content::Buffer { element, .. } => element,
            Content::Texture => ElementType::F32,
        }
    }

    const fn lanes(self) -> usize {
        match self.content {
            Content::Buffer { lanes, .. } => lanes,
            Content::Texture => 1,
        }
    }

    /// Whether the shader has the binding where those of `conditions` hold.
    pub fn is_there(&self, conditions: &[&str]) -> bool {
        self.condition.is_none_or(|condition| condition.is_met(conditions))
    }

    /// As the shader has it where those of `conditions` hold.
    pub(super) fn under(self, conditions: &[&str]) -> Option<Binding> {
        let is_narrow = self.narrow.is_some_and(|condition| conditions.contains(&condition));
        let binding = if self.wide && conditions.contains(&WIDE) && !is_narrow { self.vec4() } else { self };
        self.is_there(conditions).then_some(binding)
    }
}

impl fmt::Display for Binding {
    /// The variable's declaration in WGSL, without its number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding { name, access, content, .. } = self;
        match (access, content) {
            (Access::Read, Content::Buffer { .. }) => write!(f, "var<storage, read> {name}: {content};"),
            (Access::Write, Content::Buffer { .. }) => write!(f, "var<storage, read_write> {name}: {content};"),
            (Access::Read, Content::Texture) => write!(f, "var {name}: {content}<rgba32float, read>;"),
            (Access::Write, Content::Texture) => write!(f, "var {name}: {content}<rgba32float, write>;"),
        }
    }
}

impl fmt::Display for Content {
    /// The type in WGSL, a texture's without its texels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Content::Buffer { element, lanes } = self else { return f.write_str("texture_storage_2d") };
        let element = match element {
            ElementType::F32 => "f32",
            ElementType::F16 => "f16",
            ElementType::U32 => "u32",
        };
        match lanes {
            1 => write!(f, "array<{element}>"),
            _ => write!(f, "array<vec{lanes}<{element}>>"),
        }
    }
}
