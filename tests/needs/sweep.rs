//! `tilewright sweep`: which trials there are, what a sweep leaves, how it goes on, and what it refuses.

use crate::common::{command, tilewright};
use crate::need::trials;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tilewright::data::Source;
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::sweep::{Search, Sweep, SweepConfig, SweepError, Trial};
use tilewright::train::{EpochRow, Reporter};

trials! {
    Nothing:
        a_grid_has_every_value_with_every_other_and_the_last_setting_changes_first,
        every_setting_reaches_the_configuration_of_its_trial,
        a_random_trial_depends_on_the_seed_and_its_number_and_on_nothing_else,
        draws_fill_their_range_evenly_or_evenly_in_the_logarithm,
        a_sweep_leaves_its_definition_a_table_a_picture_and_a_run_a_trial,
        halving_trains_the_best_on_and_a_survivor_is_the_same_as_a_run_alone,
        a_sweep_that_is_stopped_anywhere_goes_on_to_the_same_end,
        a_row_or_a_run_that_is_gone_is_trained_and_what_is_done_is_not,
        a_trial_that_diverges_is_noted_with_its_reason_and_the_others_go_on,
        people_are_told_the_best_trials_and_how_to_train_the_best_again,
        what_cannot_be_searched_is_wrong_usage_before_the_first_trial,
        #[cfg(unix)]
        ctrl_c_ends_a_sweep_with_status_130_and_keeps_what_is_done;
    Adapter:
        trials_on_one_device_are_the_runs_that_they_are_alone;
}

/// A task for the CPU reference: three steps per epoch.
const SMALL: &[&str] = &["lenet5", "--device", "cpu", "--data", "synthetic:1x12x12:3:48", "--batch", "16"];

/// The JSON object of a sweep over the small task, with its files in `folder`.
fn sweep(folder: &Path, arguments: &[&str]) -> Value {
    let begin = ["sweep", "--json", "--out", folder.to_str().unwrap()];
    let ended = tilewright(&[&begin, SMALL, arguments].concat(), 0);
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn resume(folder: &Path) -> Value {
    let arguments = ["sweep", "--json", "--device", "cpu", "--resume", folder.to_str().unwrap()];
    serde_json::from_str(&tilewright(&arguments, 0).stdout).unwrap()
}

/// Rows of a sweep's table, as title and text, without its times.
fn rows(folder: &Path) -> Vec<Vec<(String, String)>> {
    let mut reader = csv::Reader::from_path(folder.join("trials.csv")).unwrap();
    let titles = reader.headers().unwrap().clone();
    let row = |row: csv::StringRecord| {
        let cells = titles.iter().zip(row.iter()).filter(|(title, _)| *title != "seconds");
        cells.map(|(title, cell)| (title.to_owned(), cell.to_owned())).collect()
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn column(folder: &Path, name: &str) -> Vec<String> {
    let cell = |row: &Vec<(String, String)>| row.iter().find(|(title, _)| title == name).unwrap().1.clone();
    rows(folder).iter().map(cell).collect()
}

/// A definition over the small task.
fn definition(search: Search, settings: &[&str]) -> SweepConfig {
    let settings = settings.iter().map(|text| (*text).to_owned()).collect();
    let data: Source = "synthetic:1x12x12:3:48".parse().unwrap();
    let config = TrainConfig { data, batch: 16, epochs: 4, ..TrainConfig::for_model("lenet5").unwrap() };
    SweepConfig { search, settings, trials: None, halving: None, config }
}

fn random(settings: &[&str], trials: usize, seed: u64) -> Vec<Trial> {
    let mut definition = definition(Search::Random, settings);
    definition.config.seed = seed;
    Sweep::new(SweepConfig { trials: Some(trials), ..definition }).unwrap().trials().to_vec()
}

fn numbers(trials: &[Trial], name: &str) -> Vec<f64> {
    let value = |trial: &Trial| trial.settings.iter().find(|(known, _)| known == name).unwrap().1.as_f64().unwrap();
    trials.iter().map(value).collect()
}

fn a_grid_has_every_value_with_every_other_and_the_last_setting_changes_first() {
    let settings = ["lr=1e-3,0.1", "optimizer=adam,sgd:momentum=0.9,weight_decay=5e-4", "set.pool=avg,max"];
    let sweep = Sweep::new(definition(Search::Grid, &settings)).unwrap();
    let told: Vec<String> = sweep.trials().iter().map(Trial::describe).collect();
    let [adam, sgd] = ["optimizer=adam", "optimizer=sgd:momentum=0.9,weight_decay=5e-4"];
    let mut want = Vec::new();
    for lr in ["lr=0.001", "lr=0.1"] {
        for optimizer in [adam, sgd] {
            want.extend(["avg", "max"].map(|pool| format!("{lr} {optimizer} set.pool={pool}")));
        }
    }
    assert_eq!(told, want);
    let last = &sweep.trials()[7];
    assert_eq!((last.number, last.config.lr), (8, 0.1));
    assert_eq!(last.config.optimizer, "sgd:momentum=0.9,weight_decay=5e-4".parse().unwrap());
    assert_eq!(last.config.attributes["pool"], "max");
    assert_eq!(last.config.attributes["activation"], "relu", "the recipe's other attributes are kept");
}

fn every_setting_reaches_the_configuration_of_its_trial() {
    let settings = [
        "optimizer.weight_decay=0.1",
        "optimizer=adamw",
        "batch=8",
        "micro_batch=4",
        "epochs=3",
        "seed=9",
        "schedule=warmup:steps=2,start_factor=0.5/cosine",
        "label_smoothing=0.1",
        "flip=true",
        "crop=1",
        "clip_grad_norm=2",
        "clip_grad_value=0.5",
        "l1=1e-6",
        "set.out_activation=true",
    ];
    let base = definition(Search::Grid, &settings);
    let sweep = Sweep::new(base.clone()).unwrap();
    let mut want = TrainConfig {
        batch: 8,
        micro_batch: Some(4),
        epochs: 3,
        seed: 9,
        schedule: "warmup:steps=2,start_factor=0.5/cosine".parse().unwrap(),
        label_smoothing: 0.1,
        flip: true,
        crop: 1,
        optimizer: "adamw:weight_decay=0.1".parse().unwrap(),
        ..base.config
    };
    (want.clip_grad_norm, want.clip_grad_value, want.l1) = (Some(2.0), Some(0.5), 1e-6);
    want.attributes.insert("out_activation".to_owned(), json!(true));
    assert_eq!(sweep.trials().len(), 1);
    assert_eq!(sweep.trials()[0].config, want);
    let averages = Sweep::new(definition(Search::Grid, &["average=none,ema:decay=0.9"])).unwrap();
    let has_one: Vec<bool> = averages.trials().iter().map(|trial| trial.config.average.is_some()).collect();
    assert_eq!(has_one, [false, true]);
}

fn a_random_trial_depends_on_the_seed_and_its_number_and_on_nothing_else() {
    let (lr, rest) = ("lr=log:1e-4..1e-1", "label_smoothing=0..0.2");
    let trials = random(&[lr, rest], 20, 1);
    assert_eq!(random(&[lr, rest], 20, 1), trials);
    assert_eq!(random(&[lr, rest], 7, 1), trials[..7]);
    assert_eq!(numbers(&random(&["batch=8,16", lr], 20, 1), "lr"), numbers(&trials, "lr"));
    let (one, other) = (numbers(&trials, "lr"), numbers(&random(&[lr, rest], 20, 2), "lr"));
    assert!(one.iter().zip(&other).all(|(one, other)| one != other), "{one:?} {other:?}");
    // Two settings of one trial are drawn apart: their ranks do not agree.
    let smoothing = numbers(&trials, "label_smoothing");
    let above = |index: usize| (one[index] > 10f64.powf(-2.5)) == (smoothing[index] > 0.1);
    assert!((4..=16).contains(&(0..20).filter(|&index| above(index)).count()), "{trials:?}");
}

fn draws_fill_their_range_evenly_or_evenly_in_the_logarithm() {
    let settings = ["lr=log:1e-4..1e-1", "label_smoothing=0..0.2", "batch=log:1..16", "crop=0..3", "seed=5,6,7"];
    let trials = random(&settings, 3000, 1);
    // Counts of a share p of 3000 draws lie within four standard deviations.
    let even = |values: &[f64], bounds: &[f64]| {
        let shares = bounds.len() as f64 - 1.0;
        let (mean, deviation) = (3000.0 / shares, (3000.0 / shares * (1.0 - 1.0 / shares)).sqrt());
        for pair in bounds.windows(2) {
            let count = values.iter().filter(|value| (pair[0]..pair[1]).contains(*value)).count() as f64;
            assert!((count - mean).abs() < 4.0 * deviation, "{count} of 3000 in {pair:?}, not about {mean}");
        }
    };
    let lr = numbers(&trials, "lr");
    assert!(lr.iter().all(|lr| (1e-4..=1e-1).contains(lr)));
    even(&lr, &[1e-4, 1e-3, 1e-2, 1e-1]);
    let smoothing = numbers(&trials, "label_smoothing");
    assert!(smoothing.iter().all(|share| (0.0..=0.2).contains(share)));
    even(&smoothing, &[0.0, 0.04, 0.08, 0.12, 0.16, 0.2]);
    even(&numbers(&trials, "crop"), &[0.0, 1.0, 2.0, 3.0, 4.0]);
    even(&numbers(&trials, "seed"), &[5.0, 6.0, 7.0, 8.0]);
    // From 0.5 to 16.5 in the logarithm.
    let batch = numbers(&trials, "batch");
    assert!(batch.iter().all(|batch| batch.fract() == 0.0 && (1.0..=16.0).contains(batch)));
    let ones = batch.iter().filter(|&&batch| batch == 1.0).count() as f64 / 3000.0;
    assert!((ones - 3f64.ln() / 33f64.ln()).abs() < 0.04, "{ones} of the draws are 1");
    assert!(batch.contains(&16.0));
    // A narrow range is drawn in as many steps as a wide one.
    let mut narrow = numbers(&random(&["optimizer.eps=0.9990..0.9992"], 300, 1), "optimizer.eps");
    narrow.sort_by(f64::total_cmp);
    narrow.dedup();
    assert!(narrow.len() > 200, "{} values", narrow.len());
}

fn a_sweep_leaves_its_definition_a_table_a_picture_and_a_run_a_trial() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/sweep");
    let result = sweep(&out, &["--epochs", "2", "--grid", "lr=1e-4,1e-3,1e-2", "--grid", "optimizer=adam,sgd"]);
    let trials = result["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 6);
    assert_eq!(trials[3]["settings"], json!({ "lr": 1e-3, "optimizer": "sgd" }));
    assert!(trials.iter().all(|trial| trial["status"] == "done" && trial["epochs"] == 2), "{result}");
    assert_eq!(column(&out, "trial"), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(column(&out, "lr"), ["1e-4", "1e-4", "0.001", "0.001", "0.01", "0.01"]);
    let accuracy = |trial: &Value| trial["test_accuracy"].as_f64().unwrap();
    let highest = trials.iter().map(accuracy).fold(0.0, f64::max);
    let best = &result["best"];
    assert_eq!(accuracy(best), highest);
    let number = best["number"].as_u64().unwrap();
    assert_eq!(best["settings"], trials[number as usize - 1]["settings"]);
    for (index, trial) in trials.iter().enumerate() {
        let run = out.join(format!("trial-{}", index + 1));
        for file in ["config.toml", "epochs.csv", "curves.svg", "checkpoint.safetensors", "best.safetensors"] {
            assert!(run.join(file).is_file(), "no {file} of trial {}", index + 1);
        }
        let mut epochs = csv::Reader::from_path(run.join("epochs.csv")).unwrap();
        let last: EpochRow = epochs.deserialize().last().unwrap().unwrap();
        assert_eq!((last.epoch, last.test_accuracy), (2, Some(accuracy(trial))));
        assert_eq!(last.test_loss, trial["test_loss"].as_f64());
    }
    let picture = fs::read_to_string(out.join("sweep.svg")).unwrap();
    // Two panels of six trials, and one where each optimizer has its own dots; and one each in the legends.
    assert_eq!(picture.matches("<circle").count(), 3 * (6 + 1));
    for word in ["best so far", "trial", "1e-3", "adam", "sgd"] {
        assert!(picture.contains(word), "no `{word}` in {picture}");
    }
    let definition: SweepConfig = toml::from_str(&fs::read_to_string(out.join("sweep.toml")).unwrap()).unwrap();
    assert_eq!(definition.settings, ["lr=1e-4,1e-3,1e-2", "optimizer=adam,sgd"]);
    assert_eq!((definition.config.epochs, definition.config.batch), (2, 16));

    // What people are told trains the best again.
    let again = folder.path().join("again");
    let recipe = out.join(format!("trial-{number}/config.toml"));
    let train = ["train", "--json", "--device", "cpu", "--recipe", recipe.to_str().unwrap(), "--run"];
    let trained = tilewright(&[&train[..], &[again.to_str().unwrap()]].concat(), 0);
    assert_eq!(serde_json::from_str::<Value>(&trained.stdout).unwrap()["test_accuracy"], best["test_accuracy"]);
}

/// The run in `one` is that in `other`, to the last bit.
fn assert_same_run(one: &Path, other: &Path) {
    for file in ["config.toml", "steps.csv", "checkpoint.safetensors", "best.safetensors"] {
        let [one, other] = [one, other].map(|run| fs::read(run.join(file)).unwrap());
        assert!(one == other, "{file} differs");
    }
}

fn halving_trains_the_best_on_and_a_survivor_is_the_same_as_a_run_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sweep");
    // Momentum, augmentation and a cosine over all epochs: what a pause must not change.
    let shared = ["--epochs", "4", "--crop", "1", "--optimizer", "sgd:momentum=0.9"];
    let search = ["--random", "lr=log:1e-3..1", "--trials", "5", "--halving", "2"];
    let result = sweep(&out, &[&shared[..], &search].concat());
    // 5 trials: the best 2 go beyond epoch 1, the best of them beyond epoch 2.
    let trials = result["trials"].as_array().unwrap();
    let epochs: Vec<u64> = trials.iter().map(|trial| trial["epochs"].as_u64().unwrap()).collect();
    let count = |wanted: u64| epochs.iter().filter(|&&epochs| epochs == wanted).count();
    assert_eq!([count(1), count(2), count(4)], [3, 1, 1], "{result}");
    let status = |trial: &Value| trial["status"].as_str().unwrap().to_owned();
    assert!(trials.iter().all(|trial| (status(trial) == "done") == (trial["epochs"] == 4)), "{result}");

    // Whoever went beyond an epoch had been no worse there than those who did not.
    let after = |index: usize, epoch: usize| {
        let mut rows = csv::Reader::from_path(out.join(format!("trial-{}/epochs.csv", index + 1))).unwrap();
        let row: EpochRow = rows.deserialize().nth(epoch - 1).unwrap().unwrap();
        (row.test_accuracy.unwrap(), -row.test_loss.unwrap())
    };
    for epoch in [1, 2] {
        for stayed in (0..5).filter(|&index| epochs[index] == epoch as u64) {
            for went in (0..5).filter(|&index| epochs[index] > epoch as u64) {
                assert!(after(went, epoch) >= after(stayed, epoch), "trial {} and {}", went + 1, stayed + 1);
            }
        }
    }
    let best = &result["best"];
    assert_eq!(epochs[best["number"].as_u64().unwrap() as usize - 1], 4);
    let (alone, lr) = (folder.path().join("alone"), best["settings"]["lr"].to_string());
    let run = ["train", "--lr", &lr, "--run", alone.to_str().unwrap()];
    tilewright(&[&run[..], SMALL, &shared].concat(), 0);
    assert_same_run(Path::new(best["run"].as_str().unwrap()), &alone);
}

/// Asks for a stop after so many epochs, and hears which trials run.
struct StopAfter {
    epochs: usize,
    stop: Arc<AtomicBool>,
    notes: Vec<String>,
}

impl Reporter for StopAfter {
    fn note(&mut self, line: &str) {
        self.notes.push(line.to_owned());
    }
    fn begin(&mut self, _: &str, _: u64, _: u64) {}
    fn advance(&mut self, _: u64, _: f64, _: f64, _: f64) {}
    fn end_epoch(&mut self, _: &EpochRow) {
        self.epochs -= 1;
        self.stop.store(self.epochs == 0, Ordering::Relaxed);
    }
}

fn a_sweep_that_is_stopped_anywhere_goes_on_to_the_same_end() {
    let folder = tempfile::tempdir().unwrap();
    let definition = SweepConfig {
        trials: Some(4),
        halving: Some(2),
        ..definition(Search::Random, &["lr=log:1e-3..1e-1", "set.activation=relu,tanh"])
    };
    let device = Device::reference();
    let run = |out: &Path, epochs: usize| {
        let mut sweep = match out.exists() {
            true => Sweep::read(out).unwrap(),
            false => Sweep::new(definition.clone()).unwrap(),
        };
        if !out.exists() {
            sweep.create(Some(out)).unwrap();
        }
        let stop = Arc::new(AtomicBool::new(false));
        let mut reporter = StopAfter { epochs, stop: Arc::clone(&stop), notes: Vec::new() };
        (sweep.run(&device, out, &stop, &mut reporter), reporter.notes)
    };
    let whole = folder.path().join("whole");
    let (outcome, _) = run(&whole, usize::MAX);
    let outcome = outcome.unwrap();
    // Four epochs of a first rung, two of a second, two of the last.
    for cut in 1..8 {
        let out = folder.path().join(format!("cut-{cut}"));
        let (stopped, _) = run(&out, cut);
        match stopped {
            Err(SweepError::Stopped { trials: 4, .. }) => {}
            other => panic!("cut after epoch {cut}: {other:?}"),
        }
        let before = rows(&out);
        let (resumed, notes) = run(&out, usize::MAX);
        let resumed = resumed.unwrap();
        assert_eq!(resumed.ranking, outcome.ranking, "cut after epoch {cut}");
        assert_eq!(rows(&out), rows(&whole), "cut after epoch {cut}");
        for number in 1..=4 {
            let at = |out: &Path| fs::read(Sweep::run_folder(out, number).join("checkpoint.safetensors")).unwrap();
            assert!(at(&out) == at(&whole), "cut after epoch {cut}: trial {number} differs");
        }
        let begun = |number: &str| notes.iter().any(|note| note.starts_with(&format!("trial {number} of")));
        for row in before.iter().filter(|row| row.iter().any(|(_, cell)| cell == "halted" || cell == "done")) {
            assert!(!begun(&row[0].1), "cut after epoch {cut}: {row:?} was begun again: {notes:?}");
        }
    }
}

fn a_row_or_a_run_that_is_gone_is_trained_and_what_is_done_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sweep");
    sweep(&out, &["--epochs", "2", "--grid", "lr=1e-4,1e-3,1e-2"]);
    let whole = rows(&out);
    let checkpoint = |number: usize| out.join(format!("trial-{number}/checkpoint.safetensors"));
    let bytes = fs::read(checkpoint(3)).unwrap();
    let written = fs::metadata(checkpoint(1)).unwrap().modified().unwrap();
    // The last row with its run, then the last row alone.
    for with_run in [true, false] {
        let table = fs::read_to_string(out.join("trials.csv")).unwrap();
        let kept: Vec<&str> = table.lines().take(3).collect();
        fs::write(out.join("trials.csv"), kept.join("\n") + "\n").unwrap();
        if with_run {
            fs::remove_dir_all(out.join("trial-3")).unwrap();
        }
        resume(&out);
        assert_eq!(rows(&out), whole);
        assert!(fs::read(checkpoint(3)).unwrap() == bytes);
    }
    assert_eq!(fs::metadata(checkpoint(1)).unwrap().modified().unwrap(), written, "trial 1 was trained again");
    // A row of other settings is none of this sweep's.
    let table = fs::read_to_string(out.join("trials.csv")).unwrap();
    fs::write(out.join("trials.csv"), table.replace("\n2,0.001,", "\n2,0.5,")).unwrap();
    let ended = tilewright(&["sweep", "--device", "cpu", "--resume", out.to_str().unwrap()], 1);
    assert!(ended.stderr.contains("row 2 is no trial of this sweep"), "{}", ended.stderr);
}

fn a_trial_that_diverges_is_noted_with_its_reason_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sweep");
    let arguments = ["--epochs", "2", "--halving", "2", "--grid", "lr=1e30,1e-3,1e-2"];
    let result = sweep(&out, &arguments);
    assert_eq!(column(&out, "status")[0], "failed");
    assert!(column(&out, "reason")[0].contains("training has diverged"), "{result}");
    assert_eq!((&column(&out, "epochs_done")[0][..], &column(&out, "test_accuracy")[0][..]), ("0", ""));
    assert_eq!(result["trials"][0]["test_accuracy"], Value::Null);
    let mut others = column(&out, "status").split_off(1);
    others.sort();
    assert_eq!(others, ["done", "halted"]);
    assert_ne!(result["best"]["number"], 1);
    // It is not tried again.
    let table = fs::read(out.join("trials.csv")).unwrap();
    assert_eq!(resume(&out)["best"], result["best"]);
    assert!(fs::read(out.join("trials.csv")).unwrap() == table);

    let all = folder.path().join("all");
    let begin = ["sweep", "--out", all.to_str().unwrap(), "--epochs", "1", "--grid", "lr=1e30,1e31"];
    let ended = tilewright(&[&begin, SMALL].concat(), 1);
    assert!(ended.stderr.contains("all 2 trials failed, the first with: the loss of step"), "{}", ended.stderr);
    assert_eq!(column(&all, "status"), ["failed", "failed"]);
}

fn people_are_told_the_best_trials_and_how_to_train_the_best_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sweep");
    let begin = ["sweep", "--out", out.to_str().unwrap(), "--epochs", "1", "--grid", "lr=1e-3,1e-2"];
    let ended = tilewright(&[&begin, SMALL].concat(), 0);
    assert!(ended.stderr.contains("lenet5, 2 trials on synthetic") && ended.stderr.contains("trial 2 of 2: lr=0.01"));
    assert!(ended.stdout.starts_with("| trial |"), "{}", ended.stdout);
    let last = ended.stdout.lines().last().unwrap();
    let recipe = last.strip_prefix("train it again: tilewright train --recipe ").unwrap();
    assert!(Path::new(recipe).is_file() && recipe.starts_with(out.to_str().unwrap()), "{last}");
    let ended = tilewright(&[&begin, SMALL].concat(), 2);
    assert!(ended.stderr.contains("goes on with what is there"), "{}", ended.stderr);
}

fn what_cannot_be_searched_is_wrong_usage_before_the_first_trial() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (arguments, told) in [
        (&[][..], "--grid is missing, but must be given"),
        (&["--grid", "lr"], "`lr` says not what to search: write it like `lr=1e-3,1e-2`"),
        (
            &["--grid", "bath=8"],
            "no setting `bath` to search, did you mean `batch`?; there are flip, crop, augment, sampler, epochs, batch",
        ),
        (&["--grid", "lr=1e-3,fast"], "`lr` cannot be `fast`: it must be a number"),
        (&["--grid", "lr=1e-3,"], "`lr` cannot be ``: it must be a number"),
        (&["--grid", "lr=0.1,-1"], "trial 2 (lr=-1) cannot be trained: --lr is -1, but must be a number of at least 0"),
        (&["--grid", "lr=0.1,1e-1"], "`lr` cannot be `1e-1`: it must be another value: it is given twice"),
        (&["--grid", "lr=0.1", "--grid", "lr=0.2"], "it must be given once, and `lr=0.1` gives it already"),
        (&["--grid", "lr=1e-4..1"], "a range is for --random"),
        (&["--grid", "batch=1.5"], "`batch` cannot be `1.5`: it must be a whole number"),
        (&["--grid", "optimizer=adm"], "known are sgd, adam"),
        (&["--grid", "optimizer=adam", "--grid", "optimizer.momentum=0.9"], "no attribute `momentum`"),
        (&["--grid", "schedule=cosin"], "no schedule `cosin`"),
        (&["--grid", "set.pol=max"], "has no attribute `pol`"),
        (&["--grid", "set.pool=median"], "must be one of avg, max"),
        (&["--grid", "batch=16", "--grid", "micro_batch=3"], "--micro-batch is 3, but must be a divisor"),
        (&["--grid", "lr=1", "--trials", "3"], "--trials is 3, but must be left out with --grid"),
        (&["--random", "lr=0..1"], "--trials"),
        (&["--random", "lr=0..1", "--trials", "0"], "--trials is 0, but must be from 1 to 10000"),
        (&["--random", "lr=1..0", "--trials", "1"], "a range from a smaller to a larger number"),
        (&["--random", "lr=log:0..1", "--trials", "1"], "a range above 0"),
        (&["--random", "batch=1..2.5", "--trials", "1"], "a range of whole numbers"),
        (&["--random", "optimizer=adam..sgd", "--trials", "1"], "it has no numbers"),
        (&["--grid", "lr=1,2,3", "--halving", "1"], "--halving is 1, but must be at least 2"),
        (&["--grid", "lr=1,2", "--halving", "3"], "at most the number of trials, 2"),
        (&["--grid", "epochs=1,2", "--halving", "2"], "left out where `epochs` is searched"),
        (&["--resume", "runs/x", "--halving", "2"], "--resume"),
    ] {
        let resumed = arguments.first() == Some(&"--resume");
        let begin = ["sweep", "--device", "cpu", "--data", "synthetic:1x12x12:3:48", "--out", out.to_str().unwrap()];
        let begin = if resumed { &begin[..3] } else { &begin[..] };
        let ended = tilewright(&[begin, arguments].concat(), 2);
        assert!(ended.stderr.contains(told), "not `{told}`: {}", ended.stderr);
    }
    assert!(!out.exists());
    let ended = tilewright(&["sweep", "--resume", folder.path().to_str().unwrap()], 2);
    assert!(ended.stderr.contains("is not the folder of a sweep"), "{}", ended.stderr);
}

#[cfg(unix)]
fn ctrl_c_ends_a_sweep_with_status_130_and_keeps_what_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sweep");
    // The second trial would take hours.
    let arguments = ["sweep", "--out", out.to_str().unwrap(), "--grid", "epochs=1,1000000"];
    let mut command = command();
    command.args(arguments).args(SMALL).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let begin = Instant::now();
    while fs::read_to_string(out.join("trial-2/epochs.csv")).map_or(0, |text| text.lines().count()) < 3 {
        assert!(begin.elapsed() < Duration::from_secs(300), "no second epoch of trial 2");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("stopped, with 1 of 2 trials at their end, the best so far trial 1, epochs=1"), "{stderr}");
    assert!(stderr.contains("`tilewright sweep --resume "), "{stderr}");
    assert_eq!(column(&out, "status"), ["done", "waiting"]);
    assert!(out.join("trial-2/checkpoint.safetensors").is_file());
}

fn trials_on_one_device_are_the_runs_that_they_are_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [out, alone] = ["sweep", "alone"].map(|name| folder.path().join(name));
    let shared = ["lenet5", "--limit", "200", "--epochs", "2"];
    let search = ["--grid", "seed=3,4,5", "--halving", "2", "--json", "--out", out.to_str().unwrap()];
    let result = tilewright(&[&["sweep"], &shared[..], &search].concat(), 0);
    let result: Value = serde_json::from_str(&result.stdout).unwrap();
    assert_eq!(result["trials"].as_array().unwrap().iter().filter(|trial| trial["status"] == "done").count(), 1);
    let (best, seed) = (&result["best"], result["best"]["settings"]["seed"].to_string());
    let train = ["train", "--seed", &seed, "--run", alone.to_str().unwrap()];
    tilewright(&[&train[..], &shared].concat(), 0);
    assert_same_run(Path::new(best["run"].as_str().unwrap()), &alone);
}
