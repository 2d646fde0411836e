//! The `tilewright` command.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    quiet_loader();
    cli::main()
}

/// Keeps the Vulkan loader from writing about its own surroundings to standard error.
fn quiet_loader() {
    let defaults = [("VK_LOADER_DEBUG", ""), ("XDG_RUNTIME_DIR", "/tmp")];
    for (name, value) in defaults.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()) {
        // SAFETY: this is the first thing that main does, so no other thread reads the environment.
        unsafe { std::env::set_var(name, value) };
    }
}
