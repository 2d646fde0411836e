//! Runs as a user has them: killed, stopped, gone on with, and what they leave in their folder.

use crate::common::{Ended, command, tilewright};
use crate::need::trials;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tilewright::checkpoint::load_checkpoint;
use tilewright::gpu::DeviceOptions;
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{EpochRow, Reporter, Trainer};

trials! {
    Nothing:
        a_cosine_ends_with_the_run_also_when_a_later_command_makes_it_longer;
    Adapter:
        the_last_images_of_an_epoch_are_trained_on_and_a_resumed_run_ends_the_same,
        a_run_that_was_killed_or_stopped_ends_as_one_that_was_not,
        a_run_folder_has_tables_curves_events_and_a_config_that_keeps_a_later_number_of_epochs,
        a_batch_in_parts_trains_as_the_whole_batch_and_resumes_to_the_last_bit,
        fewer_activations_give_the_same_bits_also_in_parts,
        a_batch_that_does_not_fit_is_taken_in_the_largest_parts_that_do,
        a_loss_that_is_no_number_ends_a_run_with_what_to_do;
}

/// Everything that draws random numbers or has a memory of its own: dropout, augmentation, momentum,
/// a schedule that watches the test loss. 20 steps per epoch.
const SETTINGS: &[&str] = &[
    "cifar_cnn",
    "--data",
    "synthetic:3x32x32:4:160",
    "--batch",
    "8",
    "--epochs",
    "3",
    "--seed",
    "7",
    "--flip",
    "--crop",
    "2",
    "--augment",
    "trivial_augment,color_jitter,erase,mixup:alpha=0.4,cutmix",
    "--set",
    "dropout=0.3",
    "--optimizer",
    "sgd:momentum=0.9,weight_decay=5e-4",
    "--lr",
    "0.01",
    "--schedule",
    "plateau:patience=0,factor=0.5,threshold=0.5",
    "--checkpoint-every",
    "7",
];

fn fewer_activations_give_the_same_bits_also_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    for (model, parts) in [("resnet18_cifar", "4"), ("mobilenet_v3_small", "2")] {
        let tensors = ["all", "fewer"].map(|name| {
            let run = folder.path().join(format!("{model}-{name}"));
            let own: &[&str] = if name == "fewer" { &["--recompute"] } else { &[] };
            let data = ["--data", "synthetic:3x32x32:4:8", "--batch", "4", "--micro-batch", parts, "--epochs", "1"];
            train(&run, &[&[model], &data[..], own].concat());
            load_checkpoint(&run.join("checkpoint.safetensors")).unwrap().tensors
        });
        assert!(tensors[0] == tensors[1], "{model}");
    }
}

/// What a run says, on both streams, that must end well.
fn train(run: &Path, arguments: &[&str]) -> String {
    let Ended { stdout, stderr } = tilewright(&[&["train", "--run", run.to_str().unwrap()], arguments].concat(), 0);
    stdout + &stderr
}

fn resume(run: &Path, arguments: &[&str]) -> String {
    let Ended { stdout, stderr } = tilewright(&[&["train", "--resume", run.to_str().unwrap()], arguments].concat(), 0);
    stdout + &stderr
}

fn begin(run: &Path) -> Child {
    let mut command = command();
    command
        .args(["train", "--run", run.to_str().unwrap()])
        .args(SETTINGS)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the run has written so many steps, header not counted.
fn wait_for_steps(run: &Path, steps: usize) {
    let begin = Instant::now();
    let written = || fs::read_to_string(run.join("steps.csv")).map_or(0, |text| text.lines().count().max(1) - 1);
    while written() < steps {
        assert!(begin.elapsed() < Duration::from_secs(300), "no step {steps} in {}", run.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The last checkpoint and every loss are the same to the last bit, and so are the results of the epochs.
fn assert_same(one: &Path, other: &Path) {
    let read = |run: &Path, file: &str| fs::read(run.join(file)).unwrap();
    let text = |run: &Path, file: &str| String::from_utf8(read(run, file)).unwrap();
    assert_eq!(text(one, "steps.csv"), text(other, "steps.csv"));
    let results = |run: &Path| -> Vec<Vec<String>> {
        let text = text(run, "epochs.csv");
        // The last two columns are times.
        text.lines().map(|line| line.split(',').take(5).map(str::to_owned).collect()).collect()
    };
    assert_eq!(results(one), results(other));
    for file in ["config.toml", "checkpoint.safetensors", "best.safetensors"] {
        assert!(read(one, file) == read(other, file), "{file} differs");
    }
}

fn a_run_that_was_killed_or_stopped_ends_as_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, again, killed, stopped] = ["whole", "again", "killed", "stopped"].map(|name| folder.path().join(name));
    train(&whole, SETTINGS);
    assert_eq!(fs::read_to_string(whole.join("steps.csv")).unwrap().lines().count(), 61);
    train(&again, SETTINGS);
    assert_same(&whole, &again);

    // Killed twice: after a checkpoint within an epoch, and in the next epoch.
    for steps in [8, 22] {
        let mut child = match steps {
            8 => begin(&killed),
            _ => command().args(["train", "--resume", killed.to_str().unwrap()]).stderr(Stdio::null()).spawn().unwrap(),
        };
        wait_for_steps(&killed, steps);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    resume(&killed, &[]);
    assert_same(&whole, &killed);

    if cfg!(unix) {
        let child = begin(&stopped);
        wait_for_steps(&stopped, 3);
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        Ended::of(child.wait_with_output().unwrap(), 130).says("--resume").never_says("error");
        resume(&stopped, &[]);
        assert_same(&whole, &stopped);
    }
}

fn a_run_folder_has_tables_curves_events_and_a_config_that_keeps_a_later_number_of_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let data = ["lenet5", "--data", "synthetic:1x28x28:3:64", "--batch", "16", "--epochs", "2"];
    let said = train(&run, &data);
    assert!(said.contains("epoch 2/2") && said.lines().any(|line| line.starts_with("test accuracy ")), "{said}");
    let curves = fs::read_to_string(run.join("curves.svg")).unwrap();
    assert_eq!(curves.matches("<circle").count(), 2 * (2 + 1), "a dot an epoch in each panel, and one in its legend");
    let events = || {
        let names = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.to_str().unwrap().contains("tfevents")).count()
    };
    assert_eq!(events(), 1);

    let said = resume(&run, &["--epochs", "3"]);
    assert!(said.contains("8 of 12 steps done") && said.contains("epoch 3/3"), "{said}");
    assert!(fs::read_to_string(run.join("config.toml")).unwrap().contains("epochs = 3"));
    assert_eq!(events(), 2);
    assert!(resume(&run, &[]).contains("12 of 12 steps done"));

    tilewright(&[&["train", "--run", run.to_str().unwrap()], &data[..]].concat(), 2).says("--resume");
}

/// The losses of the steps of a run.
fn losses(run: &Path) -> Vec<f64> {
    let text = fs::read_to_string(run.join("steps.csv")).unwrap();
    text.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse().unwrap()).collect()
}

fn a_batch_in_parts_trains_as_the_whole_batch_and_resumes_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, parts, first] = ["whole", "parts", "first"].map(|name| folder.path().join(name));
    // Without batch normalisation, which sees a part at a time, the mean of the gradients is the gradient.
    let settings = |epochs| {
        [
            "lenet5",
            "--data",
            "synthetic:1x28x28:4:120",
            "--batch",
            "24",
            "--schedule",
            "constant",
            "--lr",
            "0.05",
            "--optimizer",
            "sgd:momentum=0.9",
            "--clip-grad-norm",
            "0.5",
            "--epochs",
            epochs,
        ]
    };
    train(&whole, &settings("8"));
    let said = train(&parts, &[&settings("8")[..], &["--micro-batch", "8"]].concat());
    assert!(said.contains("in batches of 24 that are taken in 3 parts"), "{said}");
    let (one, other) = (losses(&whole), losses(&parts));
    assert_eq!((one.len(), other.len()), (40, 40));
    // Only the order of the sums differs; later, what was rounded once is multiplied by every step.
    for (step, (a, b)) in one.iter().zip(&other).enumerate().take(10) {
        assert!((a - b).abs() < 1e-6 * a, "step {step}: {a} and {b}");
    }
    assert!(one[39] < 0.5 * one[0] && other[39] < 0.5 * one[0], "both learn: {one:?} {other:?}");

    train(&first, &[&settings("3")[..], &["--micro-batch", "8"]].concat());
    resume(&first, &["--epochs", "8"]);
    assert_same(&parts, &first);

    tilewright(&[&["train", "--micro-batch", "7"], &settings("1")[..]].concat(), 2)
        .says("--micro-batch is 7, but must be a divisor of the batch of 24 images");
}

fn a_batch_that_does_not_fit_is_taken_in_the_largest_parts_that_do() {
    let folder = tempfile::tempdir().unwrap();
    // It binds at most 128 MiB, and the first layer makes 18 KiB of an image.
    let device = Device::open("auto", DeviceOptions::default().default_limits(true)).unwrap();
    let begin = |name: &str, micro_batch: Option<usize>| {
        let path = folder.path().join(name);
        let config = TrainConfig { batch: 10_000, micro_batch, epochs: 1, ..TrainConfig::default() };
        Trainer::create(config, &device, Some(&path))
            .map(|trainer| (trainer, fs::read(path.join("config.toml")).unwrap()))
    };
    let (mut fitted, config) = begin("fitted", None).unwrap();
    assert!(fitted.describe().contains("in batches of 10000 that are taken in 2 parts"), "{}", fitted.describe());
    let (_, by_hand) = begin("by hand", Some(5_000)).unwrap();
    assert_eq!(String::from_utf8(config), String::from_utf8(by_hand), "the run is the one that asks for these parts");
    let mut told = Told::default();
    fitted.run_to(0, &mut told).unwrap();
    let note = told.0.iter().find(|note| note.contains("does not fit")).unwrap();
    assert!(
        note.contains("a batch of 10000 images") && note.contains("in 2 parts, as with `micro_batch = 5000`"),
        "{note}"
    );
    let refused = begin("whole", Some(10_000)).err().unwrap().to_string();
    assert!(refused.contains("passes this device's limit"), "{refused}");
}

/// What a run says.
#[derive(Default)]
struct Told(Vec<String>);

impl Reporter for Told {
    fn note(&mut self, line: &str) {
        self.0.push(line.to_owned());
    }
    fn begin(&mut self, _: &str, _: u64, _: u64) {}
    fn advance(&mut self, _: u64, _: f64, _: f64, _: f64) {}
    fn end_epoch(&mut self, _: &EpochRow) {}
}

fn a_loss_that_is_no_number_ends_a_run_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let arguments = ["train", "--json", "--lr", "1e30", "--data", "synthetic:1x28x28:3:64", "--run"];
    let ended = tilewright(&[&arguments[..], &[run.to_str().unwrap()]].concat(), 1);
    ended.says("--clip-grad-norm");
    assert!(ended.json()["error"].is_string());
}

/// The learning rates of the steps of a run.
fn rates(run: &Path) -> Vec<f64> {
    let text = fs::read_to_string(run.join("steps.csv")).unwrap();
    text.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect()
}

fn a_cosine_ends_with_the_run_also_when_a_later_command_makes_it_longer() {
    let folder = tempfile::tempdir().unwrap();
    let [short, own] = ["short", "own"].map(|name| folder.path().join(name));
    let settings = ["lenet5", "--device", "cpu", "--data", "synthetic:1x12x12:2:8", "--batch", "4", "--lr", "1"];
    let longer = |run: &Path, epochs: &str| resume(run, &["--device", "cpu", "--epochs", epochs]);
    // Two steps per epoch.
    let cosine = |t: f64, end: f64| (1.0 + (std::f64::consts::PI * t / end).cos()) / 2.0;
    let said = train(&short, &[&settings[..], &["--epochs", "2"]].concat());
    assert!(!said.contains("periodic"), "{said}");
    let said = longer(&short, "4");
    assert!(said.contains("ended with the run, and now ends at step 8"), "{said}");
    assert!(!said.contains("periodic"), "{said}");
    longer(&short, "5");
    for (step, rate) in rates(&short).into_iter().enumerate() {
        let end = [4.0, 4.0, 4.0, 4.0, 8.0, 8.0, 8.0, 8.0, 10.0, 10.0][step];
        assert!((rate - cosine(step as f64, end)).abs() < 1e-12, "step {step}: {rate}");
    }
    assert_eq!(rates(&short).len(), 10);

    // A period of its own is left as it is, and told.
    train(&own, &[&settings[..], &["--epochs", "1", "--schedule", "cosine:T_max=3"]].concat());
    let said = longer(&own, "3");
    assert!(said.contains("is periodic: the learning rate rises again from step 3 of 6"), "{said}");
    assert!(rates(&own)[4] > rates(&own)[3], "{:?}", rates(&own));
}

fn the_last_images_of_an_epoch_are_trained_on_and_a_resumed_run_ends_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let arguments = ["train", "lenet5", "--data", "synthetic:1x12x12:2:11", "--schedule", "constant", "--lr", "0.05"];
    let more = ["--optimizer", "sgd:momentum=0.9", "--batch", "4"];
    let train = |run: &str, options: &[&str]| {
        tilewright(&[&arguments[..], &more, &["--run", &path(run)], options].concat(), 0);
    };
    let column = |run: &str, at: usize| -> Vec<f64> {
        let text = fs::read_to_string(folder.path().join(run).join("steps.csv")).unwrap();
        text.lines().skip(1).map(|line| line.split(',').nth(at).unwrap().parse().unwrap()).collect()
    };
    train("whole", &["--epochs", "4"]);
    // Three images in the last step; in parts of two, the last part has one.
    train("parts", &["--epochs", "4", "--micro-batch", "2"]);
    train("reference", &["--epochs", "4", "--device", "cpu"]);
    assert_eq!(column("whole", 3).len(), 12);
    let thirds = |accuracy: &f64| (accuracy * 3.0 - (accuracy * 3.0).round()).abs() < 1e-6;
    assert!(column("whole", 4).iter().skip(2).step_by(3).all(thirds), "{:?}", column("whole", 4));
    for other in ["parts", "reference"] {
        for (step, (a, b)) in column("whole", 3).iter().zip(column(other, 3)).enumerate() {
            assert!((a - b).abs() < 1e-5 * a, "{other}, step {step}: {a} and {b}");
        }
    }
    train("half", &["--epochs", "2", "--micro-batch", "2"]);
    tilewright(&["train", "--resume", &path("half"), "--epochs", "4"], 0);
    let bytes = |run: &str| fs::read(folder.path().join(run).join("checkpoint.safetensors")).unwrap();
    assert_eq!(column("parts", 3), column("half", 3));
    assert!(bytes("parts") == bytes("half"));

    train("dropped", &["--epochs", "4", "--drop-last", "--device", "cpu"]);
    assert_eq!(column("dropped", 3).len(), 8);
    let once = ["--device", "cpu", "--drop-last", "--epochs", "1", "--run", &path("said")];
    let said = tilewright(&[&arguments[..], &more, &once].concat(), 0);
    said.says("the last 3 of each epoch's images are left out");
    let find = ["lr-find", "lenet5", "--device", "cpu", "--data", "synthetic:1x12x12:2:11", "--batch", "4"];
    tilewright(&[&find[..], &["--steps", "20", "--out", &path("find")]].concat(), 0);
}
