//! Training that diverges: what is kept, what is said, and what is never recommended.

use crate::common::{Ended, tilewright};
use std::fs;
use std::path::Path;
use tempfile::{TempDir, tempdir};
use tilewright::checkpoint::{load_checkpoint, save_checkpoint};

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

/// Trains on 16 images, the whole set in one batch unless `extra` says otherwise.
fn train(run: &str, extra: &[&str], status: i32) -> Ended {
    let tiny = ["train", "lenet5", "--device", "cpu", "--data", "synthetic:1x12x12:2:16", "--run", run];
    tilewright(&[&tiny[..], &["--optimizer", "sgd"], extra].concat(), status)
}

#[test]
fn a_run_whose_last_update_diverges_fails_and_keeps_no_checkpoint_of_it() {
    let folder = tempdir().unwrap();
    let run = path(&folder, "run");
    // The loss of the only step is that of the first weights; what it makes of them shows in the test.
    let ended = train(&run, &["--batch", "16", "--epochs", "1", "--lr", "1e25"], 1);
    ended.says("the test loss of epoch 1 is").says("training has diverged").says("There is no checkpoint yet");
    for file in ["checkpoint.safetensors", "best.safetensors", "previous.safetensors"] {
        assert!(!Path::new(&run).join(file).exists(), "{file}");
    }
}

#[test]
fn a_diverging_run_keeps_its_last_good_checkpoint_and_goes_on_at_a_lower_rate() {
    let folder = tempdir().unwrap();
    let run = path(&folder, "run");
    // Rates of 1e-6, 1e-3, 1, 1e3, ... in the steps of one epoch.
    let diverging = ["--batch", "2", "--lr", "1e-6", "--schedule", "exponential:gamma=1000", "--checkpoint-every", "1"];
    let ended = train(&run, &[&diverging[..], &["--epochs", "2"]].concat(), 1);
    ended.says("training has diverged").says("steps is kept").never_says("no checkpoint yet");
    let file = Path::new(&run).join("checkpoint.safetensors");
    let held = load_checkpoint(&file).unwrap();
    assert!(ended.stderr.contains(&format!("The checkpoint after {} steps is kept", held.header.progress.step)));
    let largest =
        held.tensors.values().flat_map(|(_, values)| values).fold(0.0_f32, |most, value| most.max(value.abs()));
    assert!(largest < 1e3, "a weight of {largest} is not of a state before the divergence");
    assert!(!Path::new(&run).join("previous.safetensors").exists());

    let resume = ["train", "--device", "cpu", "--resume", &run, "--lr", "1e-3", "--schedule", "constant"];
    tilewright(&resume, 0).says("lr was 0.000001, and is 0.001").says("test accuracy");
}

#[test]
fn a_sweep_recommends_no_trial_that_diverged_in_its_last_update() {
    let folder = tempdir().unwrap();
    let out = path(&folder, "sweep");
    let data = ["--device", "cpu", "--data", "synthetic:1x12x12:2:16", "--batch", "16", "--epochs", "1"];
    let search = ["sweep", "lenet5", "--optimizer", "sgd", "--json", "--grid", "lr=1e25,1e-3", "--out", &out];
    let ended = tilewright(&[&search[..], &data].concat(), 0);
    let result = ended.json();
    assert_eq!(result["best"]["number"], 2, "{result}");
    assert_eq!((&result["trials"][0]["status"], &result["trials"][1]["status"]), (&"failed".into(), &"done".into()));
    assert!(result["trials"][0]["reason"].as_str().unwrap().contains("diverged"), "{result}");
}

#[test]
fn weights_whose_logits_overflow_are_an_error_and_no_probabilities() {
    let folder = tempdir().unwrap();
    let run = path(&folder, "run");
    train(&run, &["--batch", "16", "--epochs", "1"], 0);
    let file = Path::new(&run).join("checkpoint.safetensors");
    let mut checkpoint = load_checkpoint(&file).unwrap();
    checkpoint.tensors.values_mut().flat_map(|(_, values)| values).for_each(|value| *value *= 1e30);
    save_checkpoint(&file, &checkpoint).unwrap();
    let image = folder.path().join("image.png");
    image::GrayImage::from_fn(12, 12, |x, y| image::Luma([(x * 17 + y) as u8])).save(&image).unwrap();
    let predict = ["predict", "--device", "cpu", &run, image.to_str().unwrap()];
    tilewright(&predict, 1).says("not finite").never_says("NaN %");
    tilewright(&["eval", "--device", "cpu", &run], 1).says("not finite");
    assert!(fs::metadata(&file).is_ok());
}
