//! `tilewright compare`: several runs in one table and one chart.

use super::output::{refuse_overwriting, write_picture};
use super::{CliError, Global};
use clap::Args;
use std::path::PathBuf;
use tilewright::path_text::lossy;
use tilewright::report::Picture;
use tilewright::study::Comparison;

/// Put runs side by side: the settings that differ, accuracy, loss, time and parameters
#[derive(Args)]
pub(super) struct Compare {
    /// Run folders, in the order in which they are shown
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The chart of their accuracies and losses: an SVG file, or a PNG file where it ends in .png
    #[arg(long, value_name = "FILE", default_value = "compare.svg")]
    out: PathBuf,
    /// Write the chart even where the file belongs to a run
    #[arg(long)]
    force: bool,
}

impl Compare {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        refuse_overwriting(&self.out, &[], self.force)?;
        let comparison = Comparison::read(&self.runs)?;
        let panels = comparison.panels();
        write_picture(&self.out, &Picture::Panels(&panels))?;
        global.say(comparison.table().to_markdown());
        global.say(format_args!("{}: accuracy and loss of {} runs", self.out.display(), self.runs.len()));
        let mut found = comparison.to_json();
        found["picture"] = lossy(&self.out).into();
        global.result(&found);
        Ok(())
    }
}
