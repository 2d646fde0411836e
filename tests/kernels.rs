//! Every kernel variant on the device against the CPU reference, on the cases of `tilewright check`:
//! NaN in all memory beforehand, two runs with the same bits.

use std::collections::BTreeSet;
use tilewright::check::{Case, Variant, cases, sweep};
use tilewright::gpu::{DeviceOptions, DeviceSelector, Gpu};

/// Sweeps the cases that `chosen` picks, and gives the variants that ran.
fn sweep_all(options: DeviceOptions, chosen: impl Fn(&Case) -> bool) -> BTreeSet<String> {
    let gpu = Gpu::open(&DeviceSelector::Auto, options).unwrap();
    let cases: Vec<Case> = cases().into_iter().filter(chosen).collect();
    let mut variants = BTreeSet::new();
    let mut failures = Vec::new();
    let [mut passed, mut unsupported] = [0; 2];
    sweep(&gpu, &cases, |verdict| {
        variants.insert(verdict.variant.to_string());
        let what = || format!("{}, {}, {}", verdict.case.op, verdict.variant, verdict.case.what);
        match &verdict.result {
            Ok(()) => passed += 1,
            Err(failure) if failure.is_unsupported() => {
                unsupported += 1;
                println!("unsupported: {}: {failure}", what());
            }
            Err(failure) => failures.push(format!("{}: {failure}", what())),
        }
    });
    println!("{passed} passed, {} failed, {unsupported} unsupported", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 0);
    variants
}

#[test]
fn every_kernel_agrees_with_the_reference_in_checked_mode_within_default_limits() {
    let options = DeviceOptions { checked: true, default_limits: true, ..DeviceOptions::default() };
    let variants = sweep_all(options, |_| true);
    assert_eq!(variants.len(), Variant::ALL.len(), "only these variants ran: {variants:?}");
}

#[test]
fn every_product_agrees_with_the_reference_in_trusted_mode() {
    sweep_all(DeviceOptions::default(), |case| ["conv2d", "linear", "matmul"].contains(&case.op));
}
