//! A run that is killed, or finds the disk full, at each change to a file in turn. Gone on with, it leaves every file as
//! a run that was left alone does; only times differ.

use prost::Message;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use tilewright::atomic_file::{Operation, before_each_operation};
use tilewright::data::MemorySize;
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Changes, RunFolder, Silent, TrainError, Trainer};

/// How the child process of a test is told where it ends: `kill` or `full`, and the number of the operation.
const END: &str = "TILEWRIGHT_TEST_END";
const RUN: &str = "TILEWRIGHT_TEST_RUN";

/// Momentum, a schedule with a memory, a checkpoint within each epoch of three steps, images that are drawn, mixed and read
/// as they are needed.
fn config() -> TrainConfig {
    TrainConfig {
        data: "synthetic:1x12x12:2:6".parse().unwrap(),
        epochs: 2,
        batch: 2,
        lr: 0.05,
        checkpoint_every: 2,
        optimizer: "sgd:momentum=0.9".parse().unwrap(),
        schedule: "plateau:patience=0,factor=0.5".parse().unwrap(),
        sampler: "balanced".parse().unwrap(),
        augment: Some("crop:padding=1,cutmix:alpha=1".parse().unwrap()),
        data_memory: Some(MemorySize(0)),
        ..TrainConfig::default()
    }
}

fn device() -> Device {
    Device::reference()
}

/// Trains in `run`, or goes on there if it has begun.
fn train(run: &Path) -> Result<(), TrainError> {
    let trainer = match RunFolder::config(run) {
        Ok(_) => Trainer::resume(run, &device(), &Changes::default()),
        Err(_) => Trainer::create(config(), &device(), Some(run)),
    };
    trainer?.run(&mut Silent).map(|_| ())
}

static DONE: Mutex<Vec<Operation>> = Mutex::new(Vec::new());
static END_AT: OnceLock<(bool, usize)> = OnceLock::new();

/// The process ends, as if killed, before the operation it was told; or that one finds the disk full.
fn end_at(operation: Operation, _: &Path) -> io::Result<()> {
    let mut done = DONE.lock().unwrap();
    done.push(operation);
    match END_AT.get() {
        Some(&(is_kill, at)) if at + 1 == done.len() && is_kill => std::process::abort(),
        Some(&(_, at)) if at + 1 == done.len() => Err(io::Error::from(io::ErrorKind::StorageFull)),
        _ => Ok(()),
    }
}

/// In the child: trains until told to end. If that is never, leaves the operations beside the run.
fn child(end: &str) {
    before_each_operation(end_at);
    let run = PathBuf::from(std::env::var_os(RUN).unwrap());
    if let Some((how, at)) = end.split_once(' ') {
        END_AT.set((how == "kill", at.parse().unwrap())).unwrap();
        train(&run).unwrap_err();
        return;
    }
    train(&run).unwrap();
    let done = DONE.lock().unwrap().iter().map(|operation| format!("{operation:?}\n")).collect::<String>();
    fs::write(run.with_extension("operations"), done).unwrap();
}

/// Runs `test` of this module again in a child process, which then calls [`child`].
fn start_child(test: &str, run: &Path, end: &str) {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", &format!("faults::kill::{test}"), "--quiet"]).env(END, end).env(RUN, run);
    let ended = again.output().unwrap().status;
    assert_eq!(ended.success(), !end.starts_with("kill"), "{end}: {ended}");
}

/// Every file of a run that does not depend on the time, by name; of tables without their columns of times, of events
/// the values by tag and step.
fn files(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut events = Vec::new();
    for entry in fs::read_dir(run).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        match name.as_str() {
            // The number of the process that had the run last.
            ".lock" => {}
            "epochs.csv" => {
                let text = String::from_utf8(bytes).unwrap();
                let results = text.lines().map(|line| line.split(',').take(5).collect::<Vec<_>>().join(","));
                files.insert(name, results.collect::<Vec<_>>().join("\n").into_bytes());
            }
            _ if name.contains("tfevents") => events.push((name, bytes)),
            _ => drop(files.insert(name, bytes)),
        }
    }
    events.sort();
    files.insert("events".to_owned(), format!("{:?}", values(&events)).into_bytes());
    files
}

/// TensorFlow's `Event`, as far as it is written here.
#[derive(prost::Message)]
struct Event {
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session: Option<()>,
}

#[derive(prost::Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Scalar>,
}

#[derive(prost::Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    value: f32,
}

/// What TensorBoard shows of event files: the start of a later session drops what earlier ones say of its steps.
fn values(files: &[(String, Vec<u8>)]) -> BTreeMap<(i64, String), f32> {
    let mut values = BTreeMap::new();
    for (_, bytes) in files {
        let mut rest = &bytes[..];
        // Length and its checksum, the event and its checksum; the last event of a killed process may be cut.
        while let Some(length) = rest.get(..8) {
            let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            let Some(event) = rest.get(12..12 + length) else { break };
            let Event { step, summary, session } = Event::decode(event).unwrap();
            if session.is_some() {
                values.retain(|(held, _), _| *held < step);
            }
            let scalars = summary.into_iter().flat_map(|summary| summary.values);
            values.extend(scalars.map(|Scalar { tag, value }| ((step, tag), value)));
            rest = rest.get(16 + length..).unwrap_or_default();
        }
    }
    values
}

/// Ends a run at each of its operations in turn, each in a folder of its own, and holds what it comes to when it is gone
/// on with against a run that was left alone.
fn hold_against_one_left_alone(test: &str, how: &str) {
    if let Ok(end) = std::env::var(END) {
        return child(&end);
    }
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    start_child(test, &whole, "never");
    let operations = fs::read_to_string(whole.with_extension("operations")).unwrap();
    let operations: Vec<&str> = operations.lines().collect();
    assert!(operations.len() > 50, "{operations:?}");
    let expected = files(&whole);
    let values = String::from_utf8_lossy(&expected["events"]);
    assert!(values.contains("(5, \"train/loss\")") && values.contains("(2, \"test/loss\")"), "{values}");
    for name in ["best.safetensors", "checkpoint.safetensors", "config.toml", "curves.svg", "epochs.csv", "steps.csv"] {
        assert!(expected.contains_key(name), "{name}: {:?}", expected.keys());
    }
    // What needs no room does not find the disk full.
    let is_tried = |operation: &str| how == "kill" || ["Create", "Write", "Link"].contains(&operation);
    for (at, operation) in operations.iter().enumerate().filter(|(_, operation)| is_tried(operation)) {
        let run = folder.path().join(format!("run-{at}"));
        start_child(test, &run, &format!("{how} {at}"));
        train(&run).unwrap_or_else(|error| panic!("{how} at operation {at}, {operation}: {error}"));
        let held = files(&run);
        assert_eq!(
            held.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>(),
            "{how} at operation {at}, {operation}"
        );
        for (name, bytes) in &expected {
            assert!(held[name] == *bytes, "{name} differs after {how} at operation {at}, {operation}");
        }
        fs::remove_dir_all(run).unwrap();
    }
}

#[test]
fn a_run_that_is_killed_at_any_operation_ends_as_one_left_alone() {
    hold_against_one_left_alone("a_run_that_is_killed_at_any_operation_ends_as_one_left_alone", "kill");
}

#[test]
fn a_run_that_finds_the_disk_full_at_any_operation_ends_as_one_left_alone() {
    hold_against_one_left_alone("a_run_that_finds_the_disk_full_at_any_operation_ends_as_one_left_alone", "full");
}
