//! The `tilewright` command.

mod cli;

use std::process::ExitCode;

#[cfg(unix)]
#[global_allocator]
static MEMORY: cli::OrEnd = cli::OrEnd;

fn main() -> ExitCode {
    quiet_loader();
    cli::main()
}

/// Keeps the Vulkan loader and its layers from writing about their own surroundings to standard error. Where a session
/// has no `XDG_RUNTIME_DIR`, a layer that looks there for a Wayland socket complains. It is given what is no folder and
/// never will be: in one that others can write to, such as /tmp, anybody could leave a socket that never answers.
fn quiet_loader() {
    let defaults = [("VK_LOADER_DEBUG", ""), ("XDG_RUNTIME_DIR", "/dev/null")];
    let is_missing = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
    for (name, value) in defaults.into_iter().filter(|(name, _)| is_missing(name)) {
        // SAFETY: this is the first thing that main does, so no other thread reads the environment.
        unsafe { std::env::set_var(name, value) };
    }
}
