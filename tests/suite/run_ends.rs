//! How a run ends other than after its last epoch, and what it passes over: early stopping, a limit of time, steps whose
//! gradients are not finite, and the check on a few images.

use crate::common::{Ended, tilewright};
use std::fs;
use std::path::Path;
use tempfile::tempdir;
use tilewright::checkpoint::load_checkpoint;
use tilewright::data::{Dataset, Splits};
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{RunFolder, Silent, TrainError, Trainer};

/// Four steps per epoch.
const TINY: [&str; 8] = ["train", "lenet5", "--device", "cpu", "--data", "synthetic:1x12x12:2:16", "--batch", "4"];

fn train(run: &Path, extra: &[&str]) -> Ended {
    tilewright(&[&TINY[..], &["--json", "--run", run.to_str().unwrap()], extra].concat(), 0)
}

fn resume(run: &Path, extra: &[&str]) -> Ended {
    let resume = ["train", "--device", "cpu", "--json", "--resume", run.to_str().unwrap()];
    tilewright(&[&resume[..], extra].concat(), 0)
}

fn epochs(run: &Path) -> usize {
    fs::read_to_string(run.join("epochs.csv")).unwrap().lines().count() - 1
}

/// The last checkpoint and every loss are the same to the last bit.
fn assert_same(one: &Path, other: &Path) {
    for file in ["checkpoint.safetensors", "best.safetensors", "steps.csv", "config.toml"] {
        assert!(fs::read(one.join(file)).unwrap() == fs::read(other.join(file)).unwrap(), "{file} differs");
    }
}

#[test]
fn a_run_ends_after_so_many_epochs_without_a_better_one_and_goes_on_with_more_patience() {
    let folder = tempdir().unwrap();
    let [run, whole] = ["run", "whole"].map(|name| folder.path().join(name));
    // Nothing is learned at a rate of 0: the first epoch is the best there is.
    let still = ["--lr", "0", "--epochs", "9", "--validation", "0.25"];
    let ended = train(&run, &[&still[..], &["--patience", "2"]].concat());
    ended.says("ended early, after epoch 3: none of the last 2 had a validation accuracy above").says("of epoch 1");
    let result = ended.json();
    assert_eq!((&result["stopped_early"], epochs(&run)), (&true.into(), 3));
    assert!(
        result["test_accuracy"].is_number(),
        "the test images are looked at, since the run is at its end: {result}"
    );

    assert_eq!(resume(&run, &[]).json()["stopped_early"], true);
    assert_eq!(epochs(&run), 3);
    resume(&run, &["--patience", "4"]).says("patience was 2, and is 4 from here on").says("after epoch 5");
    train(&whole, &[&still[..], &["--patience", "4"]].concat());
    assert_same(&run, &whole);

    let learning = ["--epochs", "4", "--patience", "4", "--min-delta", "1"];
    assert_eq!(train(&folder.path().join("all"), &learning).json()["stopped_early"], false, "no epoch is left");
    tilewright(&[&TINY[..], &["--min-delta", "0.1"]].concat(), 2).says("--min-delta is 0.1").says("--patience");
    tilewright(&[&TINY[..], &["--patience", "0"]].concat(), 2).says("--patience");
}

#[test]
fn a_better_epoch_is_better_by_more_than_the_least_that_counts() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    let still = ["--lr", "0.01", "--epochs", "9", "--patience", "3", "--min-delta", "0.999"];
    assert_eq!(train(&run, &still).json()["stopped_early"], true);
    assert_eq!(epochs(&run), 4, "no accuracy passes the first by 0.999");
}

#[test]
fn a_sweep_counts_a_trial_that_ended_early_as_done() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("sweep");
    let sweep = [&["sweep"], &TINY[1..], &["--json", "--epochs", "9", "--patience", "1", "--grid", "lr=0"]].concat();
    let result = tilewright(&[&sweep[..], &["--out", out.to_str().unwrap()]].concat(), 0).json();
    assert_eq!((&result["trials"][0]["status"], &result["trials"][0]["epochs"]), (&"done".into(), &2.into()));
}

#[test]
fn a_run_whose_time_is_over_leaves_a_checkpoint_and_goes_on_to_the_same_bits() {
    let folder = tempdir().unwrap();
    let [run, whole] = ["run", "whole"].map(|name| folder.path().join(name));
    let ended = train(&run, &["--epochs", "2", "--max-time", "0.000001s"]);
    ended.says("the time is over after 1 steps").says("--resume");
    assert_eq!((&ended.json()["stopped"], &ended.json()["steps"]), (&"max_time".into(), &1.into()));
    assert_eq!(load_checkpoint(&RunFolder::checkpoint(&run)).unwrap().header.progress.step, 1);
    // One step each time.
    resume(&run, &["--max-time", "0.000001s"]).says("the time is over after 2 steps");
    // Longer than a clock counts.
    resume(&run, &["--max-time", "200000000000000d"]);
    train(&whole, &["--epochs", "2"]);
    assert_same(&run, &whole);
    tilewright(&[&TINY[..], &["--max-time", "30"]].concat(), 2).says("1h30m");
}

#[test]
fn a_few_images_are_learned_by_heart_or_it_is_said_that_they_are_not() {
    // Whatever would keep a network from it is left out.
    let overfit = [&TINY[..], &["--json", "--overfit", "6", "--lr", "0.01", "--label-smoothing", "0.2"]].concat();
    let passed = tilewright(&[&overfit[..], &["--crop", "2", "--average", "ema"]].concat(), 0);
    passed.says("passed: 6 images are learned by heart in");
    let result = passed.json();
    assert!(result["loss"].as_f64().unwrap() < 0.01 * result["first_loss"].as_f64().unwrap(), "{result}");
    assert_eq!((&result["accuracy"], &result["images"]), (&1.0.into(), &6.into()));

    let failed = tilewright(&[&TINY[..], &["--json", "--overfit", "6", "--lr", "0", "--epochs", "3"]].concat(), 1);
    failed
        .says("failed: 6 images are not learned by heart in 6 steps")
        .says("It hardly falls: try an --lr larger than 0");
    assert_eq!(failed.json()["learned"], false);
    let frozen = ["--overfit", "4", "--epochs", "2", "--lr", "1e-5", "--freeze", "conv1"];
    tilewright(&[&TINY[..], &frozen].concat(), 1).says("train all of them first");
    tilewright(&[&TINY[..], &["--overfit", "1"]].concat(), 2).says("--overfit is 1, but must be at least 2 images");
    tilewright(&[&TINY[..], &["--overfit", "4", "--run", "x"]].concat(), 2).says("--run");
}

#[test]
fn a_first_loss_far_from_guessing_is_told_once() {
    let folder = tempdir().unwrap();
    let [usual, wild] = ["usual", "wild"].map(|name| folder.path().join(name));
    train(&usual, &["--epochs", "1"]).never_says("the first loss is");
    let ended = train(&wild, &["--epochs", "1", "--normalize", "0/1e-4"]);
    assert_eq!(ended.stderr.matches("the first loss is").count(), 1, "{}", ended.stderr);
    ended.says("and guessing among 2 classes costs 0.693: the weights start too large, or the images");
}

/// Black images, which normalise to 0, and a white one, which normalises to an infinity.
fn one_overflows() -> Splits {
    let classes = || vec!["a".to_owned(), "b".to_owned()];
    let images = |bytes: &[u8]| bytes.iter().flat_map(|&byte| [byte; 144]).collect();
    let bytes = [0, 0, 0, 255, 0, 0, 0, 0];
    let train = Dataset::new("train", [1, 12, 12], classes(), images(&bytes), vec![0, 1, 0, 0, 1, 0, 0, 0]).unwrap();
    let test = Dataset::new("test", [1, 12, 12], classes(), images(&[0; 4]), vec![0, 0, 0, 1]).unwrap();
    Splits::new(train, test)
}

fn skipping(skip_nonfinite: u64, micro_batch: Option<usize>) -> TrainConfig {
    TrainConfig {
        normalize: Some("0/1e-39".parse().unwrap()),
        optimizer: "adam".parse().unwrap(),
        epochs: 3,
        batch: 4,
        skip_nonfinite,
        micro_batch,
        ..TrainConfig::for_model("lenet5").unwrap()
    }
}

#[test]
fn steps_whose_gradients_are_not_finite_are_skipped_up_to_a_number_and_resume_to_the_same_bits() {
    let folder = tempdir().unwrap();
    let device = Device::reference();
    let run = |name: &str| folder.path().join(name);
    for (name, micro_batch) in [("whole", None), ("parts", Some(1))] {
        let [whole, paused] = [name.to_owned(), format!("{name} paused")].map(|name| run(&name));
        let config = skipping(3, micro_batch);
        let outcome =
            Trainer::on(one_overflows(), config.clone(), &device, Some(&whole)).unwrap().run(&mut Silent).unwrap();
        assert_eq!(outcome.skipped_steps, Some(3), "one step of each epoch");
        let table = fs::read_to_string(whole.join("epochs.csv")).unwrap();
        let skipped: Vec<&str> = table.lines().skip(1).map(|row| row.split(',').nth(9).unwrap()).collect();
        assert_eq!(skipped, ["1", "2", "3"], "{table}");
        assert!(!table.contains("NaN"), "a skipped step has no part in the means of its epoch: {table}");
        let checkpoint = load_checkpoint(&RunFolder::checkpoint(&whole)).unwrap();
        assert!(checkpoint.tensors["fc3.bias"].1[0] != checkpoint.tensors["fc3.bias"].1[1], "the other steps are made");

        Trainer::on(one_overflows(), config.clone(), &device, Some(&paused)).unwrap().run_to(1, &mut Silent).unwrap();
        Trainer::resume_on(one_overflows(), &paused, &device, config).unwrap().run(&mut Silent).unwrap();
        assert_same(&whole, &paused);
    }
    for (most, told) in [(2, "more than `skip_nonfinite = 2` skips"), (0, "the loss of step")] {
        let mut trainer =
            Trainer::on(one_overflows(), skipping(most, None), &device, Some(&run(&most.to_string()))).unwrap();
        let error = trainer.run(&mut Silent).unwrap_err();
        assert!(matches!(error, TrainError::Diverged { .. }), "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
}
