//! PyTorch's numbers, where the cases lie beside the repository: on the GPU and on the CPU reference.

use std::path::Path;
use tilewright::gpu::{DeviceOptions, DeviceSelector, Gpu, GpuError};
use tilewright::session::Device;
use tilewright::verify::{Outcome, find_cases, run_case};

/// Runs every case; what failed fails the test, what is unsupported is printed and counted.
fn run_all(name: &str, device: &Device) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/cases");
    if !folder.is_dir() {
        println!("skipped: all conformance cases on {name}, since `{}` is not there", folder.display());
        return;
    }
    let files = find_cases(&[folder]).unwrap();
    assert!(!files.is_empty());
    let [mut passed, mut unsupported] = [0; 2];
    let mut failures = Vec::new();
    for file in &files {
        let case = file.file_stem().unwrap().to_string_lossy();
        match run_case(file, device) {
            Outcome::Passed => passed += 1,
            Outcome::Unsupported(reason) => {
                unsupported += 1;
                println!("unsupported on {name}: {case}: {reason}");
            }
            Outcome::Failed(reason) => failures.push(format!("{case}: {reason}")),
        }
    }
    println!("{name}: {passed} passed, {} failed, {unsupported} unsupported", failures.len());
    assert!(failures.is_empty(), "on {name}:\n{}", failures.join("\n"));
}

#[test]
fn conformance_cases_hold_on_the_gpu() {
    match Gpu::open(&DeviceSelector::Auto, DeviceOptions::default()) {
        Ok(gpu) => run_all(&gpu.info().name.clone(), &gpu.into()),
        Err(GpuError::NoAdapter) => println!("skipped: all conformance cases on the GPU, since there is no adapter"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn conformance_cases_hold_on_the_cpu_reference() {
    run_all("the CPU reference", &Device::reference());
}
