//! `tilewright compare`: several runs in one table and one chart.

use super::{CliError, Global};
use clap::Args;
use std::path::{Path, PathBuf};
use tilewright::atomic_file::replace_file;
use tilewright::path_text::lossy;
use tilewright::report::{Picture, PictureError};
use tilewright::study::Comparison;
use tilewright::train::TrainError;

/// Put runs side by side: the settings that differ, accuracy, loss, time and parameters
#[derive(Args)]
pub(super) struct Compare {
    /// Run folders, in the order in which they are shown
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The chart of their accuracies and losses: an SVG file, or a PNG file where it ends in .png
    #[arg(long, value_name = "FILE", default_value = "compare.svg")]
    out: PathBuf,
}

impl Compare {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
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

/// Writes a picture in the format that the file's ending says: PNG, or else SVG.
pub(super) fn write_picture(path: &Path, picture: &Picture<'_>) -> Result<(), CliError> {
    let is_png = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    let drawn: Result<Option<Vec<u8>>, PictureError> = match is_png {
        true => picture.png(),
        false => picture.svg().map(|text| text.map(String::into_bytes)),
    };
    let bytes = drawn.map_err(TrainError::from)?.unwrap_or_default();
    let unwritten = |reason| TrainError::File { path: path.to_owned(), action: "written", reason };
    Ok(replace_file(path, &bytes).map_err(unwritten)?)
}
