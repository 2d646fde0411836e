//! Training with features in f16 on a device that has it.

use crate::common::tilewright;
use crate::need::trials;
use std::path::Path;
use tempfile::tempdir;
use tilewright::checkpoint::load_checkpoint;

trials! {
    F16:
        a_run_in_f16_learns_digits_as_one_in_f32_does,
        a_run_on_a_device_skips_steps_whose_gradients_overflow_and_goes_on_with_the_same_bits;
}

fn train(run: &Path, extra: &[&str]) -> crate::common::Ended {
    tilewright(&[&["train", "lenet5", "--run", run.to_str().unwrap()], extra].concat(), 0)
}

fn a_run_in_f16_learns_digits_as_one_in_f32_does() {
    let folder = tempdir().unwrap();
    let accuracy = |precision: &str| {
        let run = folder.path().join(precision);
        let ended = train(&run, &["--epochs", "1", "--limit", "4000", "--precision", precision, "--json"]);
        ended.json()["test_accuracy"].as_f64().unwrap()
    };
    let [full, half] = ["f32", "f16"].map(accuracy);
    assert!(full > 0.85 && (full - half).abs() < 0.02, "{full} in f32, {half} in f16");
}

fn a_run_on_a_device_skips_steps_whose_gradients_overflow_and_goes_on_with_the_same_bits() {
    let folder = tempdir().unwrap();
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
    let tiny = ["--data", "synthetic:1x12x12:2:16", "--batch", "4", "--precision", "f16"];
    let loss = ["--loss", "focal:gamma=0,alpha=1e4"];
    train(&whole, &[&["--epochs", "4"], &tiny[..], &loss].concat());
    train(&parts, &[&["--epochs", "2"], &tiny[..], &loss].concat());
    tilewright(&["train", "--resume", parts.to_str().unwrap(), "--epochs", "4"], 0).says("steps skipped so far");
    let tensors = |run: &Path| load_checkpoint(&run.join("checkpoint.safetensors")).unwrap().tensors;
    let (whole, parts) = (tensors(&whole), tensors(&parts));
    let skipped = whole["loss_scale.skipped_steps"].1[0];
    assert!((3.0..16.0).contains(&skipped), "{skipped} of 16 steps skipped");
    assert_eq!(whole, parts);
}
