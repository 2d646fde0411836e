//! `tilewright report`: a run as one HTML page.

use super::output::{refuse_overwriting, write};
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tilewright::path_text::lossy;
use tilewright::study::{RunSummary, page};

/// Write a run as one HTML page: settings, results, curves, classes, wrong images, filters, environment
///
/// The page needs no other file and no network. It is made of what the run folder has: of a run that has not ended, what its
/// test images show is missing, and `eval RUN --pictures RUN` adds it.
#[derive(Args)]
pub(super) struct Report {
    /// A run folder
    run: PathBuf,
    /// The page [default: report.html in the run folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the page even where FILE belongs to a run
    #[arg(long)]
    force: bool,
}

impl Report {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        if let Some(out) = &self.out {
            refuse_overwriting(out, &[], self.force)?;
        }
        let run = RunSummary::read(&self.run)?;
        let text = page(&run)?;
        let out = self.out.clone().unwrap_or_else(|| self.run.join("report.html"));
        write(&out, text.as_bytes())?;
        global.say(format_args!("{}: {} KB", out.display(), text.len().div_ceil(1000)));
        global.result(&json!({ "page": lossy(&out), "bytes": text.len(), "is_evaluated": run.record.is_some() }));
        Ok(())
    }
}
