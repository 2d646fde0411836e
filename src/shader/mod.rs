//! From `shaders/*.wgsl` to the WGSL text of one kernel: imports joined by `wesl`, constants and
//! conditions bound.
//!
//! A shader imports what it reads and writes from the virtual module `package::bindings`, its constants from
//! `package::constants`, the uniform with its arguments from `package::arguments`, shared functions from
//! `package::lib::...`, and a tile body its load and store functions from `package::operands`, which the kernel
//! binds to a file.

mod half;

use crate::kernel::{Kernel, Shader};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use wesl::syntax::{ModulePath, PathOrigin};
use wesl::{CompileOptions, VirtualResolver, Wesl};

/// Every file under `shaders/`: its path without the ending, and its text.
pub const SOURCES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// The entry point of every kernel.
pub const ENTRY_POINT: &str = "main";

/// A shader that cannot be put together: a defect of this crate, found by the tests that need no GPU.
#[derive(Debug, thiserror::Error)]
#[error("shader `{shader}` cannot be put together: {reason}")]
pub struct ShaderError {
    shader: String,
    reason: String,
}

/// The WGSL text of a kernel, from the files in the program.
///
/// # Errors
/// As [`Sources::compile`].
pub fn compile(kernel: &Kernel) -> Result<String, ShaderError> {
    Sources::default().compile(kernel)
}

/// The shader files that kernels are put together from.
#[derive(Clone, Debug)]
pub struct Sources(Vec<(&'static str, Cow<'static, str>)>);

impl Default for Sources {
    /// The files in the program.
    fn default() -> Self {
        Sources(SOURCES.iter().map(|&(name, text)| (name, Cow::Borrowed(text))).collect())
    }
}

impl Sources {
    /// The files in the program, but for those that `folder` has: `folder/pool/max_forward.wgsl` stands
    /// for `shaders/pool/max_forward.wgsl`. So a changed shader is tried without a build.
    ///
    /// # Errors
    /// When a file in the folder cannot be read.
    pub fn with_folder(folder: &Path) -> io::Result<Sources> {
        if !folder.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let mut sources = Sources::default();
        for (name, text) in &mut sources.0 {
            match crate::regular_file::read_to_string(&folder.join(format!("{name}.wgsl"))) {
                Ok(changed) => *text = Cow::Owned(changed),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sources)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(source, _)| *source == name).map(|(_, text)| text.as_ref())
    }

    /// The WGSL text of a kernel.
    ///
    /// # Errors
    /// When a file or an imported name is missing, or the text does not parse.
    pub fn compile(&self, kernel: &Kernel) -> Result<String, ShaderError> {
        let error = |reason: String| ShaderError { shader: kernel.shader.name.to_owned(), reason };
        let mut resolver = VirtualResolver::new();
        for (name, text) in &self.0 {
            resolver.add_module(path(name), text.as_ref().into());
        }
        let text_of = |shader: &Shader| {
            let text = shader.text.or_else(|| self.get(shader.name));
            text.ok_or_else(|| error(format!("there is no file `shaders/{}.wgsl`", shader.name)))
        };
        resolver.add_module(path(kernel.shader.name), text_of(kernel.shader)?.into());
        if let Some(operands) = kernel.operands {
            resolver.add_module(path("operands"), text_of(operands)?.into());
        }
        let mut bindings = String::new();
        for (number, binding) in kernel.bindings().enumerate() {
            writeln!(bindings, "@group(0) @binding({number}) {binding}").expect("writing to a string does not fail");
        }
        resolver.add_module(path("bindings"), bindings.into());
        let mut constants = String::new();
        for (name, value) in &kernel.constants {
            writeln!(constants, "const {name}: {value};").expect("writing to a string does not fail");
        }
        resolver.add_module(path("constants"), constants.into());
        let mut arguments = String::from("struct Arguments {\n");
        for (name, value) in &kernel.arguments {
            writeln!(arguments, "{name}: {},", value.type_name()).expect("writing to a string does not fail");
        }
        match kernel.specialised {
            true => {
                let values: Vec<String> = kernel.arguments.iter().map(|(_, value)| value.expression()).collect();
                writeln!(arguments, "}}\nconst arguments: Arguments = Arguments({});", values.join(", "))
                    .expect("writing to a string does not fail");
            }
            false => arguments.push_str("}\n@group(1) @binding(0) var<uniform> arguments: Arguments;\n"),
        }
        resolver.add_module(path("arguments"), arguments.into());

        let mut compiler = Wesl::new_barebones().set_custom_resolver(resolver);
        compiler
            .set_options(CompileOptions { validate: false, lazy: true, ..CompileOptions::default() })
            .set_mangler(wesl::ManglerKind::None)
            .set_features(kernel.conditions.iter().map(|name| (*name, true)))
            .set_missing_feature_behavior(false);
        let mut compiled = compiler
            .compile(&path(kernel.shader.name))
            .map_err(|reason| error(without_colours(&reason.to_string())))?;
        if kernel.halves.is_empty() {
            return Ok(compiled.to_string());
        }
        half::convert(&mut compiled.syntax, kernel.bindings());
        Ok(format!("{}{compiled}", half::ENABLE))
    }
}

/// A message of wesl without its colours, ESC `[` numbers and a letter each: it may go to a file or into JSON.
fn without_colours(message: &str) -> String {
    let mut pieces = message.split("\u{1b}[");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let text = piece.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, text)| text);
        plain.push_str(text);
    }
    plain
}

fn path(name: &str) -> ModulePath {
    ModulePath::new(PathOrigin::Absolute, name.split('/').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_a_shader_is_told_without_colours() {
        let mut sources = Sources::default();
        let text = sources.0.iter_mut().find(|(name, _)| *name == "elementwise/scale").map(|(_, text)| text);
        *text.unwrap() = Cow::Borrowed("fn main( {");
        static SCALE: Shader = Shader::new("elementwise/scale", &[]);
        let message = sources.compile(&Kernel::new(&SCALE)).unwrap_err().to_string();
        assert!(!message.contains('\u{1b}'), "{message:?}");
        assert!(message.starts_with("shader `elementwise/scale` ") && message.contains("fn main( {"), "{message}");
    }

    #[test]
    fn only_colours_are_taken_out() {
        assert_eq!(
            without_colours("\u{1b}[1m\u{1b}[91merror\u{1b}[0m: a[0] \u{1b}[38;5;9mmm\u{1b}[0m"),
            "error: a[0] mm"
        );
        assert_eq!(without_colours("x[1m]"), "x[1m]");
    }
}
