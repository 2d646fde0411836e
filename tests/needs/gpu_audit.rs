//! `scripts/gpu_audit`: what real GPU compilers make of the kernels, without a GPU.

use crate::need::{gpu_audit_mesa, trials};
use std::path::Path;
use std::process::{Command, Output};

trials! {
    Python: the_audit_counts_what_samples_of_machine_code_hold;
    MesaDrmShim:
        kernels_of_two_training_steps_are_within_their_limits_on_amd,
        a_kernel_past_its_limit_is_named_with_number_and_limit;
}

fn audit(arguments: &[&str]) -> Output {
    let output = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/gpu_audit"))
        .args(["--binary", env!("CARGO_BIN_EXE_tilewright"), "--mesa"])
        .arg(gpu_audit_mesa())
        .args(arguments)
        .output();
    output.unwrap()
}

fn the_audit_counts_what_samples_of_machine_code_hold() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/gpu_audit/tests.py");
    let output = Command::new("python3").arg(tests).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Ran ") && !said.contains("Ran 0 tests"), "{said}");
}

fn kernels_of_two_training_steps_are_within_their_limits_on_amd() {
    let output = audit(&["--devices", "navi31,vega10", "--models", "lenet5,resnet18_cifar"]);
    let (table, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let rows = |kernel: &str| table.lines().filter(|line| line.starts_with(&format!("| {kernel}"))).count();
    for kernel in
        ["conv/workgroup_tile forward", "conv/workgroup_tile weight gradient", "batch_norm/", "optimizer/step"]
    {
        assert!(rows(kernel) >= 2, "{kernel} is not on both devices:\n{table}");
    }
}

fn a_kernel_past_its_limit_is_named_with_number_and_limit() {
    let folder = tempfile::tempdir().unwrap();
    let limits = folder.path().join("limits.toml");
    std::fs::write(&limits, "[[limit]]\nkernel = \"^optimizer/\"\nat_most = { registers = 3 }\n").unwrap();
    let limits = limits.to_str().unwrap();
    let output = audit(&["--devices", "navi31", "--models", "lenet5", "--limits", limits]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("navi31: optimizer/step has registers ") && said.contains(", the limit is at most 3"),
        "{said}"
    );
}
