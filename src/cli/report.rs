//! `tilewright report`: a run as one HTML page.

use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tilewright::atomic_file::replace_file;
use tilewright::path_text::lossy;
use tilewright::study::{RunSummary, page};
use tilewright::train::TrainError;

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
}

impl Report {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let run = RunSummary::read(&self.run)?;
        let text = page(&run)?;
        let out = self.out.clone().unwrap_or_else(|| self.run.join("report.html"));
        let unwritten = |reason| TrainError::File { path: out.clone(), action: "written", reason };
        replace_file(&out, text.as_bytes()).map_err(unwritten)?;
        global.say(format_args!("{}: {} KB", out.display(), text.len().div_ceil(1000)));
        global.result(&json!({ "page": lossy(&out), "bytes": text.len(), "is_evaluated": run.record.is_some() }));
        Ok(())
    }
}
