//! `tilewright man`: the manual pages.

use super::{Cli, CliError, Global};
use clap::{Args, CommandFactory};
use serde_json::json;
use std::path::PathBuf;

/// Write the manual pages, one per command, into a folder
///
/// `man -l DIR/tilewright-train.1` shows one; in a folder `man1` of your MANPATH, `man tilewright-train` finds it.
#[derive(Args)]
pub(super) struct Man {
    /// The folder, which is made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let not_written =
            |error| CliError::failed(format!("the pages in `{}` cannot be written: {error}", self.folder.display()));
        std::fs::create_dir_all(&self.folder).map_err(not_written)?;
        clap_mangen::generate_to(Cli::command(), &self.folder).map_err(not_written)?;
        global.say(format_args!("{}: the manual pages", self.folder.display()));
        global.result(&json!({ "folder": self.folder.display().to_string() }));
        Ok(())
    }
}
