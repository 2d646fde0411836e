//! `tilewright lr-find` as a user meets it: what it trains, what it leaves, and what it refuses.

use crate::common::{fixture, tilewright};
use crate::need::trials;
use serde_json::Value;
use std::fs;
use std::path::Path;

trials! {
    Nothing:
        a_range_test_leaves_a_table_and_a_picture_and_suggests_a_rate_within_its_range,
        its_losses_are_those_of_a_run_under_an_exponential_schedule,
        a_batch_in_parts_gives_the_curve_of_the_whole_batch,
        people_are_told_where_the_loss_falls_and_what_to_train_with,
        a_range_that_is_none_is_wrong_usage,
        a_loss_that_only_rises_is_told_with_the_remedy_and_its_curve_is_kept,
        a_first_loss_that_is_no_number_is_not_blamed_on_the_rate;
    Adapter:
        the_bundled_digits_suggest_a_rate_at_which_lenet_learns;
}

/// A task for the CPU reference; LeNet-5 learns it within 60 steps, up to a rate at which it diverges.
const SMALL: &[&str] = &["--device", "cpu", "--data", "synthetic:1x12x12:3:48", "--batch", "16"];
const RANGE: &[&str] = &["--from", "1e-4", "--to", "10", "--steps", "60"];

/// The JSON object of `lr-find lenet5` with these arguments, whose files are in `folder`.
fn find(folder: &Path, arguments: &[&str]) -> Value {
    let begin = ["lr-find", "lenet5", "--json", "--out", folder.to_str().unwrap()];
    let ended = tilewright(&[&begin[..], arguments].concat(), 0);
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// The column `name` of a table.
fn column(file: &Path, name: &str) -> Vec<f64> {
    let text = fs::read_to_string(file).unwrap();
    let index = text.lines().next().unwrap().split(',').position(|title| title == name).unwrap();
    text.lines().skip(1).map(|line| line.split(',').nth(index).unwrap().parse().unwrap()).collect()
}

fn a_range_test_leaves_a_table_and_a_picture_and_suggests_a_rate_within_its_range() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/range");
    let result = find(&out, &[SMALL, RANGE].concat());
    let [rates, losses, smoothed] = ["rates", "losses", "smoothed"].map(|key| numbers(&result[key]));
    assert!((30..=60).contains(&rates.len()) && losses.len() == rates.len() && smoothed.len() == rates.len());
    for (step, rate) in rates.iter().enumerate() {
        let want = 1e-4 * 1e5f64.powf(step as f64 / 59.0);
        assert!((rate - want).abs() < 1e-12 * want, "step {step}: {rate}, not {want}");
    }
    let [suggested, steepest, minimum] = ["suggested", "steepest", "minimum"].map(|key| result[key].as_f64().unwrap());
    assert!(rates.contains(&steepest) && rates.contains(&minimum) && steepest <= minimum);
    assert_eq!(suggested, steepest.min(minimum / 10.0));
    let least = smoothed.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(smoothed[rates.iter().position(|&rate| rate == minimum).unwrap()], least);
    assert!(least < 0.9 * losses[0], "the model learns: {smoothed:?}");

    let table = out.join("lr_find.csv");
    assert_eq!(column(&table, "lr"), rates);
    assert_eq!(column(&table, "loss"), losses);
    assert_eq!(column(&table, "smoothed"), smoothed);
    let picture = fs::read_to_string(out.join("lr_find.svg")).unwrap();
    assert_eq!(picture.matches("<circle").count(), 2, "a dot at the suggestion, and one in the legend");
    for word in ["lenet5", "learning rate", "smoothed", "suggested", "1e-3"] {
        assert!(picture.contains(word), "no `{word}` in {picture}");
    }
    assert_eq!(
        find(&folder.path().join("again"), &[SMALL, RANGE].concat())["losses"],
        result["losses"],
        "the same seed"
    );
    let other = find(&folder.path().join("other"), &[SMALL, RANGE, &["--seed", "2"]].concat());
    assert_ne!(other["losses"], result["losses"]);
}

fn its_losses_are_those_of_a_run_under_an_exponential_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let [out, run] = ["out", "run"].map(|name| folder.path().join(name));
    let range = ["--from", "1e-4", "--to", "0.01", "--steps", "30"];
    let result = find(&out, &[SMALL, &range, &["--flip", "--clip-grad-norm", "1"]].concat());
    let schedule = format!("exponential:gamma={}", 100f64.powf(1.0 / 29.0));
    // Three steps per epoch: the images are shuffled anew in between.
    let train = ["train", "lenet5", "--epochs", "10", "--lr", "1e-4", "--schedule", &schedule, "--flip"];
    let rest = ["--clip-grad-norm", "1", "--run", run.to_str().unwrap()];
    tilewright(&[&train[..], SMALL, &rest].concat(), 0);
    let losses = numbers(&result["losses"]);
    assert_eq!(losses.len(), 30);
    // Both tables have the f32 of the device, each in as many digits as tell it from its neighbours.
    let trained = column(&run.join("steps.csv"), "loss");
    for (step, (got, want)) in losses.iter().zip(&trained).enumerate() {
        assert_eq!(*got as f32, *want as f32, "step {step}");
    }
}

fn a_batch_in_parts_gives_the_curve_of_the_whole_batch() {
    let folder = tempfile::tempdir().unwrap();
    let whole = find(&folder.path().join("whole"), &[SMALL, RANGE].concat());
    let parts = find(&folder.path().join("parts"), &[SMALL, RANGE, &["--micro-batch", "4"]].concat());
    let (whole, parts) = (numbers(&whole["losses"]), numbers(&parts["losses"]));
    for (step, (a, b)) in whole.iter().zip(&parts).take(20).enumerate() {
        assert!((a - b).abs() < 1e-5 * a, "step {step}: {a} and {b}");
    }
}

fn the_bundled_digits_suggest_a_rate_at_which_lenet_learns() {
    let folder = tempfile::tempdir().unwrap();
    let result = find(folder.path(), &[]);
    let suggested = result["suggested"].as_f64().unwrap();
    assert!((3e-4..3e-2).contains(&suggested), "Adam trains this model at about 4e-3, not at {suggested:e}");
    let run = folder.path().join("run").display().to_string();
    let lr = suggested.to_string();
    let train = ["train", "--json", "--lr", &lr, "--epochs", "1", "--limit", "2000", "--run", &run];
    let trained: Value = serde_json::from_str(tilewright(&train, 0).stdout.lines().last().unwrap()).unwrap();
    assert!(trained["test_accuracy"].as_f64().unwrap() > 0.6, "{trained}");
}

fn people_are_told_where_the_loss_falls_and_what_to_train_with() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let ended = tilewright(&[&["lr-find", "lenet5", "--out", out], SMALL, RANGE].concat(), 0);
    assert!(ended.stdout.contains("falls fastest at a learning rate of") && ended.stdout.contains(out));
    assert!(ended.stdout.lines().last().unwrap().starts_with("suggested: --lr "), "{}", ended.stdout);
    assert!(ended.stderr.contains("lenet5") && ended.stderr.contains("from 1e-4 to 1e1"), "{}", ended.stderr);
    // On its slope, the curve has not shown where it ends.
    let ended = tilewright(&[&["lr-find", "lenet5", "--out", out, "--to", "0.005"], SMALL].concat(), 0);
    assert!(ended.stderr.contains("still falls at 5e-3: a larger --to"), "{}", ended.stderr);
}

fn a_range_that_is_none_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (arguments, told) in [
        (&["--from", "10", "--to", "1"][..], "--from is 10, but must be below --to, which is 1"),
        (&["--from", "0.5", "--to", "0.5"], "--from is 0.5, but must be below --to, which is 0.5"),
        (&["--from", "0"], "--from is 0, but must be a number from 1e-30 to 1e30"),
        (&["--from", "-1"], "--from is -1, but must be a number from 1e-30 to 1e30"),
        (&["--from", "nan"], "--from is NaN, but must be a number from 1e-30 to 1e30"),
        (&["--to", "inf"], "--to is inf, but must be a number from 1e-30 to 1e30"),
        (&["--steps", "19"], "--steps is 19, but must be from 20"),
        (&["--batch", "0"], "--batch is 0"),
        (&["--lr", "1"], "--lr"),
    ] {
        let ended = tilewright(&[&["lr-find", "--out", out.to_str().unwrap()], arguments].concat(), 2);
        assert!(ended.stderr.contains(told), "not `{told}`: {}", ended.stderr);
    }
    assert!(!out.exists());
}

fn a_loss_that_only_rises_is_told_with_the_remedy_and_its_curve_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let range = ["--from", "1e4", "--to", "1e9", "--out", out];
    let ended = tilewright(&[&["lr-find", "lenet5"], SMALL, &range].concat(), 1);
    assert!(ended.stderr.contains("falls nowhere between a learning rate of 1e4 and one of 1e9"), "{}", ended.stderr);
    assert!(ended.stderr.contains("smaller --from") && ended.stderr.contains(out), "{}", ended.stderr);
    assert!(folder.path().join("lr_find.csv").is_file() && folder.path().join("lr_find.svg").is_file());
}

fn a_first_loss_that_is_no_number_is_not_blamed_on_the_rate() {
    let folder = tempfile::tempdir().unwrap();
    let mut weights = fs::read(fixture("lenet5.safetensors")).unwrap();
    let header = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    // The upper half of an f32 is about the bf16 of the same number: here the largest there is.
    let largest = f32::MAX.to_le_bytes();
    weights[8 + header..].chunks_exact_mut(2).for_each(|bf16| bf16.copy_from_slice(&largest[2..]));
    let [init, out] = ["large.safetensors", "out"].map(|name| folder.path().join(name).display().to_string());
    fs::write(&init, weights).unwrap();
    let ended = tilewright(&[&["lr-find", "lenet5", "--init", &init, "--out", &out], SMALL].concat(), 1);
    assert!(ended.stderr.contains(" before any learning rate has had an effect"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--init"), "{}", ended.stderr);
}
