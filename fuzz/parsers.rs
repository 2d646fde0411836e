//! Everything that reads what others wrote, as a function of bytes that must end without a panic and without much
//! memory. `main.rs` feeds them at random, and what was found.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tilewright::checkpoint::load_checkpoint;
use tilewright::data::{LoadOptions, Preprocessing, Source, idx, load_image};
use tilewright::interop::read_state_dict;
use tilewright::models::{self, ModelOptions};
use tilewright::nn::Mode;
use tilewright::optim::Optimizer;
use tilewright::optim::schedule::{LearningRate, Schedule};
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::sweep::{Search, Sweep, SweepConfig};
use tilewright::train::{Changes, Resolved, RunFolder, Silent, Trainer};
use tilewright::tuned::TunedTable;
use tilewright::verify::run_case;

/// Reads bytes; files go to the folder, which is the reader's own.
pub(crate) type Parser = fn(&[u8], &Path);

/// Name, and what it reads.
pub(crate) const PARSERS: [(&str, Parser); 17] = [
    ("idx_images", idx_images),
    ("idx_labels", idx_labels),
    ("cifar", cifar),
    ("image", image),
    ("parquet", parquet),
    ("safetensors", safetensors),
    ("torch", torch),
    ("checkpoint", checkpoint),
    ("checkpoint_header", checkpoint_header),
    ("config", config),
    ("schedule", schedule),
    ("words", words),
    ("sweep", sweep),
    ("tuned_table", tuned_table),
    ("case", case),
    ("tables", tables),
    ("model", model),
];

fn file(folder: &Path, name: &str, data: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, data).unwrap();
    path
}

fn parquet(data: &[u8], folder: &Path) {
    let source = format!("parquet:{}", file(folder, "train.parquet", data).display());
    source.parse::<Source>().unwrap().load(&LoadOptions::default()).ok();
}

fn idx_images(data: &[u8], folder: &Path) {
    for name in ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"] {
        idx::read_images(&file(folder, name, data)).ok();
    }
}

fn idx_labels(data: &[u8], folder: &Path) {
    for name in ["train-labels-idx1-ubyte", "train-labels-idx1-ubyte.gz"] {
        idx::read_labels(&file(folder, name, data)).ok();
    }
}

fn cifar(data: &[u8], folder: &Path) {
    for name in ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"] {
        file(folder, name, data);
    }
    for name in ["test_batch.bin", "train.bin", "test.bin"] {
        file(folder, name, data);
    }
    for name in ["batches.meta.txt", "fine_label_names.txt", "coarse_label_names.txt"] {
        file(folder, name, b"a\nb\nc\n");
    }
    for kind in ["cifar10", "cifar100"] {
        let source: Source = format!("{kind}:{}", folder.display()).parse().unwrap();
        source.load(&LoadOptions::default()).ok();
    }
}

/// By content, whatever the ending says; more than a megapixel is refused from the header.
fn image(data: &[u8], folder: &Path) {
    for (name, channels) in [("a.png", 1), ("a.jpg", 3)] {
        load_image(&file(folder, name, data), channels, (7, 5), Preprocessing::default(), 1 << 20).ok();
    }
}

fn safetensors(data: &[u8], folder: &Path) {
    read_state_dict(&file(folder, "a.safetensors", data)).ok();
}

fn torch(data: &[u8], folder: &Path) {
    read_state_dict(&file(folder, "a.pth", data)).ok();
}

fn checkpoint(data: &[u8], folder: &Path) {
    if let Ok(checkpoint) = load_checkpoint(&file(folder, "checkpoint.safetensors", data)) {
        checkpoint.header.config.validate().ok();
    }
}

/// The bytes are the header's own JSON, in a file that is otherwise right.
fn checkpoint_header(data: &[u8], folder: &Path) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let header = serde_json::json!({ "__metadata__": { "tilewright": text } }).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    checkpoint(&bytes, folder);
}

fn config(data: &[u8], folder: &Path) {
    file(folder, "config.toml", data);
    if let Ok(config) = RunFolder::config(folder)
        && config.validate().is_ok()
        && let Ok(resolved) = Resolved::of(&config, 100)
    {
        resolved.schedule(&config).ok();
    }
}

fn schedule(data: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(schedule) = text.parse::<Schedule>() {
        assert!(schedule.to_string().parse::<Schedule>().is_ok(), "`{schedule}` of `{text}` does not read again");
        if let Ok(mut rate) = LearningRate::new(schedule, 0.1) {
            for step in [0, 1, 2, 99, 1 << 20, u64::MAX] {
                rate.rate(step);
            }
            rate.observe(1.0);
            rate.rate(3);
        }
    }
}

/// What stands on the command line besides.
fn words(data: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(source) = text.parse::<Source>() {
        assert_eq!(source.to_string().parse::<Source>().unwrap().to_string(), source.to_string());
    }
    if let Ok(optimizer) = text.parse::<Optimizer>() {
        serde_json::to_string(&optimizer).unwrap();
    }
    models::find(text).ok();
}

/// An axis a line, as a grid and at random.
fn sweep(data: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let settings: Vec<String> = text.lines().map(str::to_owned).collect();
    let base = SweepConfig { settings, config: tiny(), ..SweepConfig::default() };
    Sweep::new(base.clone()).ok();
    Sweep::new(SweepConfig { search: Search::Random, trials: Some(4), ..base }).ok();
}

fn tuned_table(data: &[u8], folder: &Path) {
    if let Ok(table) = TunedTable::read(&file(folder, "tuned.toml", data)) {
        table.kernels();
    }
}

/// On the reference.
fn case(data: &[u8], folder: &Path) {
    run_case(&file(folder, "case.safetensors", data), &Device::reference());
}

/// The tables of a run that is resumed, and that of a sweep.
fn tables(data: &[u8], folder: &Path) {
    for name in ["steps.csv", "epochs.csv", "trials.csv"] {
        file(folder, name, data);
    }
    let device = || Device::reference();
    let config = tiny();
    file(folder, "config.toml", toml::to_string(&config).unwrap().as_bytes());
    Trainer::resume(folder, &device(), &Changes::default()).ok();
    let settings = vec!["lr=0.1,0.2".to_owned()];
    let sweep = Sweep::new(SweepConfig { settings, config, ..SweepConfig::default() }).unwrap();
    let stop = Arc::new(AtomicBool::new(true));
    sweep.run(&device(), folder, &stop, &mut Silent).ok();
}

/// A run of a few steps.
fn tiny() -> TrainConfig {
    let data = "synthetic:1x12x12:2:4".parse().unwrap();
    let size = [("image_size".to_owned(), serde_json::json!([12, 12]))];
    TrainConfig { model: "lenet5".to_owned(), data, attributes: size.into_iter().collect(), ..TrainConfig::default() }
}

/// A model with attributes, `NAME BATCH JSON`: its graph is built, but nothing is run.
fn model(data: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut words = text.splitn(3, ' ');
    let (Some(name), Some(batch), Some(attributes)) = (words.next(), words.next(), words.next()) else { return };
    let (Ok(model), Ok(batch)) = (models::find(name), batch.parse::<usize>()) else { return };
    let Ok(serde_json::Value::Object(attributes)) = serde_json::from_str(attributes) else { return };
    let options = ModelOptions::from(attributes);
    for mode in [Mode::Train, Mode::Eval] {
        if let Ok(built) = model.graph(&options, batch, mode) {
            built.graph.parameter_count();
        }
    }
}
