//! Averages of the weights: their numbers, what is evaluated and kept, and runs that are gone on with.

use crate::common::tilewright;
use crate::need::trials;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tilewright::checkpoint::{Checkpoint, load_checkpoint};
use tilewright::data::{Batches, Dataset, Splits, View};
use tilewright::gpu::DeviceOptions;
use tilewright::graph::{GraphError, Value};
use tilewright::models::{self, Model, Settings};
use tilewright::nn::Scope;
use tilewright::optim::Optimizer;
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Batch, Evaluator, RunFolder, Silent, TrainError, Trainer};

trials! {
    Nothing:
        averages_are_those_that_the_host_computes_on_the_reference,
        running_statistics_of_a_mean_are_those_of_its_pass_over_the_training_images,
        what_is_frozen_keeps_its_values_under_an_average,
        the_best_checkpoint_is_the_average_that_was_measured,
        a_resumed_run_with_an_average_ends_to_the_last_bit_as_one_that_never_stopped,
        an_average_that_cannot_be_is_refused_with_its_value_and_the_rule;
    Adapter:
        averages_are_those_that_the_host_computes_on_a_gpu,
        a_resumed_run_with_an_average_ends_on_a_gpu_as_one_that_never_stopped;
}

/// Batch norm of the images themselves, so that its statistics can be counted by hand, and two layers.
pub(crate) fn normed(net: &mut Scope, images: Value, with: &Settings) -> Result<Value, GraphError> {
    let x = net.batch_norm("norm", images)?;
    let x = net.flatten(x)?;
    let x = net.linear("first", x, 6)?;
    let x = net.relu(x)?;
    let x = net.dropout("drop", x, 0.25)?;
    net.linear("second", x, with.num_classes)
}

const NORMED: Model = Model::new("normed", [1, 6, 6], 3, normed);

const IMAGES: usize = 22;

fn images(name: &str, count: usize) -> Dataset {
    let labels: Vec<u32> = (0..count as u32).map(|index| index % 3).collect();
    let mut noise = 12345u32;
    let mut images = Vec::new();
    for &label in &labels {
        for pixel in 0..36 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            images.push((noise >> 25) as u8 + if pixel % 3 == label { 90 } else { 0 });
        }
    }
    let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
    Dataset::new(name, [1, 6, 6], classes, images, labels).unwrap()
}

fn splits() -> Splits {
    Splits::new(images("train", IMAGES), images("test", 9))
}

/// Three steps per epoch, the last a short one.
fn config(average: Option<&str>) -> TrainConfig {
    // The tests of one program share the name.
    let _ = models::register(NORMED);
    let optimizer: Optimizer = "sgd:momentum=0.9".parse().unwrap();
    let average = average.map(|average| average.parse().unwrap());
    TrainConfig {
        model: "normed".into(),
        epochs: 4,
        batch: 8,
        lr: 0.05,
        seed: 5,
        optimizer,
        average,
        ..TrainConfig::default()
    }
}

fn run(config: &TrainConfig, device: &Device, folder: &Path) -> Checkpoint {
    Trainer::on(splits(), config.clone(), device, Some(folder)).unwrap().run(&mut Silent).unwrap();
    load_checkpoint(&RunFolder::checkpoint(folder)).unwrap()
}

/// The checkpoints after each epoch of a run.
fn each_epoch(config: &TrainConfig, device: &Device) -> Vec<Checkpoint> {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut trainer = Trainer::on(splits(), config.clone(), device, Some(&run)).unwrap();
    let mut after = |epoch| {
        trainer.run_to(epoch, &mut Silent).unwrap();
        load_checkpoint(&RunFolder::checkpoint(&run)).unwrap()
    };
    (1..=config.epochs).map(&mut after).collect()
}

const WEIGHTS: [&str; 6] = ["norm.weight", "norm.bias", "first.weight", "first.bias", "second.weight", "second.bias"];

/// Running statistics, and what they begin with.
const STATISTICS: [(&str, f32); 2] = [("norm.running_mean", 0.0), ("norm.running_var", 1.0)];

fn raw(name: &str) -> String {
    format!("optimizer.raw.{name}")
}

/// Steps of a whole epoch each, so that every weight is seen.
fn averages_on(device: &Device) {
    let whole = |average| TrainConfig { batch: IMAGES, epochs: 6, ..config(average) };
    let still = TrainConfig { lr: 0.0, epochs: 1, ..whole(None) };
    let start = &each_epoch(&still, device)[0];
    let plain = each_epoch(&whole(None), device);
    let weight = |checkpoint: &Checkpoint, name: &str| checkpoint.tensors[name].1.clone();
    type Share = fn(usize) -> f64;
    let shares: [(&str, Share); 4] = [
        ("ema:decay=0.3", |t| 1.0 - f64::min(0.3, (1.0 + t as f64) / (10.0 + t as f64))),
        ("ema:decay=0.8,warmup=false", |_| 0.2),
        ("swa:start=0", |t| 1.0 / (t + 1) as f64),
        // After epochs 3 to 6.
        ("swa:start=0.5", |t| if t < 3 { 1.0 } else { 1.0 / (t - 1) as f64 }),
    ];
    for (average, share) in shares {
        let averaged = each_epoch(&whole(Some(average)), device);
        let weights = WEIGHTS.map(|name| (name, weight(start, name)));
        let statistics = STATISTICS.map(|(name, start)| (name, vec![start]));
        let statistics = statistics.into_iter().filter(|_| average.starts_with("ema"));
        for (name, start) in weights.into_iter().chain(statistics) {
            let mut expected: Vec<f64> = start.into_iter().map(f64::from).collect();
            for (t, (plain, averaged)) in plain.iter().zip(&averaged).enumerate() {
                let trained = weight(plain, name);
                assert_eq!(weight(averaged, &raw(name)), trained, "{average}: training does not see the average");
                for (e, &w) in expected.iter_mut().zip(&trained) {
                    *e += share(t) * (f64::from(w) - *e);
                }
                for (&found, &e) in weight(averaged, name).iter().zip(&expected) {
                    assert!((f64::from(found) - e).abs() < 1e-6, "{average}, {name}, step {t}: {found}, not {e}");
                }
            }
            assert_ne!(weight(&averaged[5], name), weight(&plain[5], name), "{average}, {name}");
        }
    }
}

fn averages_are_those_that_the_host_computes_on_the_reference() {
    averages_on(&Device::reference());
}

fn averages_are_those_that_the_host_computes_on_a_gpu() {
    averages_on(&Device::open("auto", DeviceOptions::default()).unwrap());
}

/// Mean over the batches of the last epoch of mean and unbiased variance of their pixels.
fn statistics_by_hand(checkpoint: &Checkpoint, config: &TrainConfig) -> [f64; 2] {
    let train = images("train", IMAGES);
    let batches = Batches::new(&train, config.batch, &checkpoint.header.normalization).unwrap();
    // That some are mirrored changes nothing in these numbers.
    let batches = batches.shuffled(config.seed, config.epochs - 1);
    let mut sums = [0.0; 2];
    let count = batches.count(false);
    for index in 0..count {
        let (mut pixels, mut labels) = (vec![0.0; config.batch * 36], vec![0; config.batch]);
        let rows = batches.fill(index, &mut pixels, &mut labels).unwrap();
        let pixels: Vec<f64> = pixels[..rows * 36].iter().map(|&x| f64::from(x)).collect();
        let mean = pixels.iter().sum::<f64>() / pixels.len() as f64;
        let squares: f64 = pixels.iter().map(|x| (x - mean) * (x - mean)).sum();
        sums[0] += mean;
        sums[1] += squares / (pixels.len() - 1) as f64;
    }
    sums.map(|sum| sum / count as f64)
}

fn running_statistics_of_a_mean_are_those_of_its_pass_over_the_training_images() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { flip: true, ..config(Some("swa:start=0.5")) };
    let checkpoint = run(&config, &Device::reference(), &folder.path().join("swa"));
    let held = |name: &str| f64::from(checkpoint.tensors[name].1[0]);
    let [mean, variance] = statistics_by_hand(&checkpoint, &config);
    let found = [held("norm.running_mean"), held("norm.running_var")];
    assert!((found[0] - mean).abs() < 1e-6 && (found[1] - variance).abs() < 1e-6, "{found:?}, not {mean}, {variance}");
    let plain = TrainConfig { average: None, ..config.clone() };
    let plain = run(&plain, &Device::reference(), &folder.path().join("plain"));
    for name in ["norm.running_mean", "norm.running_var"] {
        assert_eq!(checkpoint.tensors[&raw(name)], plain.tensors[name], "training has its own");
        assert_ne!(checkpoint.tensors[name], plain.tensors[name]);
    }
    // Those of an exponential average are those of training, where they are not averaged.
    let ema = TrainConfig { average: Some("ema:statistics=false".parse().unwrap()), ..config };
    let ema = run(&ema, &Device::reference(), &folder.path().join("ema"));
    assert_eq!(ema.tensors["norm.running_var"], plain.tensors["norm.running_var"]);
}

fn what_is_frozen_keeps_its_values_under_an_average() {
    let folder = tempfile::tempdir().unwrap();
    let still = TrainConfig { lr: 0.0, epochs: 1, ..config(None) };
    let start = run(&still, &Device::reference(), &folder.path().join("start"));
    for average in ["ema:decay=0.5", "swa:start=0.5"] {
        let frozen = ["norm", "first"].map(str::to_owned).to_vec();
        let config = TrainConfig { freeze: frozen, ..config(Some(average)) };
        let end = run(&config, &Device::reference(), &folder.path().join(&average[..3]));
        for name in ["norm.weight", "norm.bias", "first.weight", "first.bias"] {
            assert_eq!(end.tensors[name], start.tensors[name], "{average}, {name}");
            assert!(!end.tensors.contains_key(&raw(name)), "{average}, {name}");
        }
        let statistics = ["norm.running_mean", "norm.running_var"].map(|name| end.tensors[name].1[0]);
        assert_eq!(statistics, [0.0, 1.0], "{average}");
        assert_ne!(end.tensors["second.weight"], end.tensors[&raw("second.weight")], "{average}");
    }
}

fn the_best_checkpoint_is_the_average_that_was_measured() {
    for average in ["ema:decay=0.9", "swa:start=0.25"] {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let device = Device::reference();
        let mut trainer = Trainer::on(splits(), config(Some(average)), &device, Some(&run)).unwrap();
        let outcome = trainer.run(&mut Silent).unwrap();
        let best = RunFolder::best(&run);
        let checkpoint = load_checkpoint(&best).unwrap();
        let batch = Batch { shape: [9, 1, 6, 6], classes: 3 };
        let mut evaluator = Evaluator::unfolded(&checkpoint, &best, batch, &device).unwrap();
        let test = images("test", 9);
        let found = evaluator.evaluate(&test, &checkpoint.header.normalization, &[View::default()]).unwrap();
        assert_eq!(found.top1, outcome.best_accuracy, "{average}");
        let told = checkpoint.header.progress.test_loss;
        assert!((found.loss - told).abs() < 1e-6, "{average}: {} and {told}", found.loss);
        // The weights that are trained would have told something else.
        let mut trained = checkpoint.clone();
        for name in WEIGHTS {
            trained.tensors.insert(name.to_owned(), checkpoint.tensors[&raw(name)].clone());
        }
        evaluator.restore(&trained, &best).unwrap();
        let other = evaluator.evaluate(&test, &checkpoint.header.normalization, &[View::default()]).unwrap();
        assert!((other.loss - told).abs() > 1e-5, "{average}: {} and {told}", other.loss);
    }
}

/// A run that stops within its first, second and third epoch, and is gone on with each time.
fn resumed_on(device: &Device) {
    let in_parts = TrainConfig { micro_batch: Some(4), ..config(Some("swa:start=0.5")) };
    let lookahead = config(Some("lookahead:every=2,power=1"));
    // A mean over epochs of which the last is a part.
    let max_steps = Some("3.4epochs".parse().unwrap());
    let part = TrainConfig { max_steps, ..config(Some("swa:start=0.5")) };
    for config in [config(Some("ema:decay=0.99")), config(Some("swa:start=0.5")), in_parts, lookahead, part] {
        let average = config.average.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
        run(&config, device, &whole);
        for epoch in 0..4 {
            let mut trainer = match epoch {
                0 => Trainer::on(splits(), config.clone(), device, Some(&parts)).unwrap(),
                _ => {
                    let config = TrainConfig::from_toml(&fs::read_to_string(parts.join("config.toml")).unwrap());
                    Trainer::resume_on(splits(), &parts, device, config.unwrap()).unwrap()
                }
            };
            // The end of the epoch that has begun.
            trainer.run_to(epoch, &mut Silent).unwrap();
            trainer.stop_on(Arc::new(AtomicBool::new(true)));
            let stopped = trainer.run(&mut Silent).unwrap_err();
            assert!(matches!(stopped, TrainError::Stopped { .. }), "{average}: {stopped}");
        }
        let last = TrainConfig::from_toml(&fs::read_to_string(parts.join("config.toml")).unwrap()).unwrap();
        Trainer::resume_on(splits(), &parts, device, last).unwrap().run(&mut Silent).unwrap();
        for file in ["steps.csv", "config.toml", "checkpoint.safetensors", "best.safetensors"] {
            let read = |run: &Path| fs::read(run.join(file)).unwrap();
            assert!(read(&whole) == read(&parts), "{average}: {file} differs");
        }
    }
}

fn a_resumed_run_with_an_average_ends_to_the_last_bit_as_one_that_never_stopped() {
    resumed_on(&Device::reference());
}

fn a_resumed_run_with_an_average_ends_on_a_gpu_as_one_that_never_stopped() {
    resumed_on(&Device::open("auto", DeviceOptions::default()).unwrap());
}

fn an_average_that_cannot_be_is_refused_with_its_value_and_the_rule() {
    let refused = [
        ("polyak", "there is no average `polyak`; known are ema, swa and lookahead"),
        ("ema:decay=1.5", "decay is 1.5, but must be a number from 0 to 1"),
        ("ema:decay=-0.1", "decay is -0.1, but must be a number from 0 to 1"),
        ("ema:warmup=7", "warmup is 7, but must be true or false"),
        ("swa:start=1", "start is 1, but must be a number of at least 0 and below 1"),
        ("swa:start=-0.5", "start is -0.5, but must be a number of at least 0 and below 1"),
        ("swa:decay=0.9", "it has no attribute `decay`"),
    ];
    for (average, rule) in refused {
        tilewright(&["train", "--average", average], 2).says(average).says(rule);
    }
}
