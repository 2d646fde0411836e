//! `tilewright docs`: the generated pages of the documentation.

use super::{CliError, Global};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::PathBuf;
use tilewright::report::Page;

/// Write a generated page of the documentation to standard output
#[derive(Args)]
pub(super) struct Docs {
    /// The page: docs/ops.md, docs/models.md or docs/settings.md
    page: Which,
    /// Write nothing; fail if this file is not the page
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    Ops,
    Models,
    Settings,
}

impl Docs {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let page = match self.page {
            Which::Ops => Page::Ops,
            Which::Models => Page::Models,
            Which::Settings => Page::Settings,
        };
        let text = page.text()?;
        let Some(file) = &self.check else {
            global.say(text.trim_end());
            global.result(&json!({ "path": page.path(), "text": text }));
            return Ok(());
        };
        let held = std::fs::read_to_string(file)
            .map_err(|error| CliError::failed(format!("`{}` cannot be read: {error}", file.display())))?;
        if held != text {
            let (path, name) = (page.path(), self.page.to_possible_value());
            let name = name.as_ref().map_or("", |value| value.get_name());
            return Err(CliError::failed(format!(
                "`{}` is not what the code says; write it anew with `tilewright docs {name} > {path}`",
                file.display()
            )));
        }
        global.say(format_args!("`{}` is up to date", file.display()));
        global.result(&json!({ "path": file, "up_to_date": true }));
        Ok(())
    }
}
