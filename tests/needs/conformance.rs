//! PyTorch's numbers on the GPU and on the CPU reference: a sample that travels with the code
//! (scripts/conformance-sample.py, and loss_cases.py, op_cases.py, optimizer_cases.py and schedule_cases.py beside it), and the cases that may lie beside the repository.

use crate::common::fixture;
use crate::need::{Need, beside, trial};
use libtest_mimic::Trial;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tilewright::gpu::DeviceOptions;
use tilewright::session::Device;
use tilewright::verify::{Outcome, find_cases, run_case};

/// A test for the cases of each kind, and one for each model, on both backends.
pub(crate) fn trials() -> Vec<Trial> {
    let folders = ["conformance", "losses", "ops", "optimizers", "schedules"].map(fixture);
    let sample = find_cases(&folders).unwrap();
    let held: BTreeSet<Option<OsString>> = sample.iter().map(|file| name(file)).collect();
    let mut more = match Need::Cases.is_there() {
        true => find_cases(&[beside("conformance/cases")]).unwrap(),
        false => Vec::new(),
    };
    more.retain(|file| !held.contains(&name(file)));
    let mut all = of_files("sample", Need::Nothing, sample);
    match more.is_empty() {
        true => all.push(trial("conformance::all_cases".to_owned(), Need::Cases, || ())),
        false => all.extend(of_files("more", Need::Cases, more)),
    }
    all
}

fn name(file: &Path) -> Option<OsString> {
    file.file_name().map(ToOwned::to_owned)
}

fn of_files(place: &str, need: Need, files: Vec<PathBuf>) -> Vec<Trial> {
    let mut groups: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        groups.entry(group(&file)).or_default().push(file);
    }
    let mut trials = Vec::new();
    for (group, files) in groups {
        let on_gpu = files.clone();
        let name = |backend: &str| format!("conformance::{place}_{group}_on_the_{backend}");
        trials.push(trial(name("reference"), need, move || hold(&files, &Device::reference())));
        trials.push(trial(name("gpu"), Need::Adapter, move || {
            hold(&on_gpu, &Device::open("auto", DeviceOptions::default()).unwrap());
        }));
    }
    trials
}

/// The kind in `op_conv2d_01`, and of models the name too.
fn group(file: &Path) -> String {
    let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
    let numberless = stem.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    let kind = numberless.split('_').next().unwrap_or_default();
    if kind == "model" { numberless.to_owned() } else { kind.to_owned() }
}

/// Runs every case, none of which may fail or be unsupported.
fn hold(files: &[PathBuf], device: &Device) {
    let mut failures = Vec::new();
    for file in files {
        if let Outcome::Failed(reason) | Outcome::Unsupported(reason) = run_case(file, device) {
            failures.push(format!("{}: {reason}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
