//! `tilewright verify`: conformance cases against this device.

use super::place::Place;
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use tilewright::verify::{self, Outcome};

/// Run conformance cases: numbers computed by PyTorch that this device must reproduce
#[derive(Args)]
pub(super) struct Verify {
    /// Folders that are searched for `*.safetensors` cases, or single cases
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    pub place: Place,
}

impl Verify {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let files = verify::find_cases(&self.folders)?;
        if files.is_empty() {
            return Err(CliError::failed("there is no `*.safetensors` file under the given folders"));
        }
        let device = global.device()?;
        let [mut passed, mut failed, mut unsupported] = [0; 3];
        for file in &files {
            let name = case_name(file);
            match verify::run_case(file, &device) {
                Outcome::Passed => {
                    passed += 1;
                    global.say(format_args!("passed       {name}"));
                }
                Outcome::Failed(reason) => {
                    failed += 1;
                    global.say(format_args!("FAILED       {name}: {reason}"));
                }
                Outcome::Unsupported(reason) => {
                    unsupported += 1;
                    global.say(format_args!("unsupported  {name}: {reason}"));
                }
            }
        }
        global.say(format_args!("{passed} passed, {failed} failed, {unsupported} unsupported"));
        global.result(&json!({ "passed": passed, "failed": failed, "unsupported": unsupported }));
        match failed + unsupported {
            0 => Ok(()),
            _ => Err(CliError::Judged),
        }
    }
}

fn case_name(file: &Path) -> String {
    file.file_stem().map_or_else(|| file.display().to_string(), |stem| stem.to_string_lossy().into_owned())
}
