//! Where schedules end, and how they are written.

use crate::common::tilewright;
use std::fs;
use std::path::Path;

/// Two steps per epoch, on the CPU reference.
const SMALL: &[&str] =
    &["train", "lenet5", "--device", "cpu", "--data", "synthetic:1x12x12:2:8", "--batch", "4", "--lr", "1"];

/// The learning rates of a run of so many epochs.
fn rates(run: &Path, schedule: &str, epochs: &str) -> Vec<f64> {
    let options = ["--schedule", schedule, "--epochs", epochs, "--run", run.to_str().unwrap()];
    tilewright(&[SMALL, &options].concat(), 0);
    read(run)
}

fn read(run: &Path) -> Vec<f64> {
    let text = fs::read_to_string(run.join("steps.csv")).unwrap();
    text.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect()
}

#[test]
fn a_linear_decay_behind_a_warm_up_ends_with_the_run_and_with_the_longer_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let want = |end: f64| move |t: u32| if t < 2 { 0.5 + 0.25 * f64::from(t) } else { 1.0 - f64::from(t - 2) / end };
    let got = rates(&run, "warmup:steps=1epochs,start_factor=0.5/polynomial", "3");
    let shorter: Vec<f64> = (0..6).map(want(4.0)).collect();
    assert_eq!(got, shorter);
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("\"warmup:steps=1epochs,start_factor=0.5/polynomial\""), "{config}");

    let arguments = ["train", "--device", "cpu", "--resume", run.to_str().unwrap(), "--epochs", "5"];
    tilewright(&arguments, 0).says("ended with the run, and now ends at step 10");
    let longer: Vec<f64> = (0..10).map(want(8.0)).collect();
    assert_eq!(read(&run), [&shorter[..], &longer[6..]].concat());
}

#[test]
fn a_recipe_may_have_a_schedule_as_a_table_with_lengths_in_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("recipe.toml");
    let run = folder.path().join("run");
    let text = "model = \"lenet5\"\ndata = \"synthetic:1x12x12:2:8\"\nbatch = 4\nepochs = 3\nlr = 1\n\
                [schedule]\nname = \"multistep\"\nmilestones = [\"1epochs\", 4]\ngamma = 0.5\n";
    fs::write(&recipe, text).unwrap();
    let options = ["--recipe", recipe.to_str().unwrap(), "--run", run.to_str().unwrap(), "--device", "cpu"];
    tilewright(&[&["train"], &options[..]].concat(), 0);
    assert_eq!(read(&run), [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
}

#[test]
fn a_run_that_ends_within_its_warm_up_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--schedule", "warmup:steps=5epochs/cosine", "--epochs", "1", "--run"];
    let run = folder.path().join("run");
    tilewright(&[SMALL, &options, &[run.to_str().unwrap()]].concat(), 0).says("10 steps of warm-up");
}

#[test]
fn a_recipe_whose_schedule_has_no_bottom_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("recipe.toml");
    let refused = |text: String, part: &str| {
        fs::write(&recipe, text).unwrap();
        let ended = tilewright(&["train", "--recipe", recipe.to_str().unwrap()], 2);
        ended.says(part);
        assert!(ended.stderr.len() < 2000, "{} characters", ended.stderr.len());
    };
    let text = format!("{}constant", "warmup:steps=1/".repeat(50_000));
    refused(format!("schedule = \"{text}\""), "warm-ups");
    let (open, close) = ("{ name = \"warmup\", steps = 1, then = ".repeat(50_000), "}".repeat(50_000));
    refused(format!("schedule = {open}\"constant\"{close}"), "is not a recipe");
    let lists = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    refused(format!("freeze = {lists}"), "is not a recipe");
}

#[test]
fn what_would_never_end_is_refused_before_the_first_step() {
    let most = u64::MAX.to_string();
    let of_run = |options: &[&str], part: &str| {
        tilewright(&[SMALL, options].concat(), 2).says(part).never_says("epoch 1/");
    };
    of_run(&["--epochs", &most], "at most 2147483648 with 2 steps per epoch");
    of_run(&["--epochs", "3000000000"], "--epochs is 3000000000");
    tilewright(&["lr-find", "--steps", &most], 2).says("--steps is").says("to 100000");
    tilewright(&["landscape", "--steps", &most], 2).says("--steps is").says("to 100000");
    let rates: Vec<String> = (1..=101).map(|rate| format!("{rate}e-4")).collect();
    tilewright(&["landscape", "--rates", &rates.join(",")], 2).says("at most 100");
    for trials in ["1000000000", &most] {
        tilewright(&["sweep", "--trials", trials, "--random", "lr=1e-3..1e-1"], 2).says("--trials is").says("10000");
    }
    let grid = format!("seed={}", (0..200).map(|seed| seed.to_string()).collect::<Vec<_>>().join(","));
    tilewright(&["sweep", "--grid", &grid, "--grid", &grid.replace("seed", "crop")], 2).says("--grid is 40000 trials");
}
