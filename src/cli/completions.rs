//! `tilewright completions`: what a shell needs to complete commands and options.

use super::{Cli, CliError, Global};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

/// Write a shell's completions to standard output
///
/// For bash: `tilewright completions bash > ~/.local/share/bash-completion/completions/tilewright`. For the others, see
/// where yours looks for them.
#[derive(Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tilewright", &mut script);
        let script = String::from_utf8(script)?;
        global.say(script.trim_end());
        global.result(&json!({ "shell": self.shell.to_string(), "script": script }));
        Ok(())
    }
}
