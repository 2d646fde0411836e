//! Several checkpoints evaluated together, and one seen from several views: what `eval` says of them, held against
//! sums of the plain kind.

use crate::common::{Ended, tilewright};
use crate::need::trials;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tilewright::checkpoint::{Checkpoint, load_checkpoint, save_checkpoint};
use tilewright::data::{Dataset, LoadOptions, Source, View, Views};
use tilewright::session::Device;
use tilewright::train::{Batch, Ensemble, Evaluator, TestData, softmax};

trials! {
    Nothing:
        a_checkpoint_given_twice_is_worth_what_it_is_worth_once,
        two_models_of_different_image_sizes_give_the_mean_of_their_probabilities,
        the_views_of_an_image_give_the_mean_of_their_probabilities,
        views_and_members_go_together_the_same_each_time,
        members_that_order_the_same_classes_differently_are_matched_by_name,
        what_cannot_be_averaged_is_refused_with_both_files_before_a_device_is_opened,
        views_that_are_none_are_wrong_usage;
    Adapter:
        a_device_finds_what_the_reference_finds;
}

const DATA: &str = "synthetic:1x16x16:4:80";

fn fails(arguments: &[&str], status: i32, words: &[&str]) {
    let Ended { stderr, .. } = tilewright(arguments, status);
    for word in words {
        assert!(stderr.contains(word), "{arguments:?} does not say `{word}`: {stderr}");
    }
}

fn eval(arguments: &[&str]) -> Value {
    let Ended { stdout, .. } = tilewright(&[&["eval", "--json"], arguments].concat(), 0);
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

/// Trains on the CPU reference, a moment only, so that the model is sure of little.
fn train(folder: &Path, name: &str, model: &str, data: &str, more: &[&str]) -> String {
    let run_folder = folder.join(name).display().to_string();
    let arguments =
        ["train", model, "--device", "cpu", "--data", data, "--batch", "16", "--epochs", "1", "--run", &run_folder];
    tilewright(&[&arguments[..], more].concat(), 0);
    run_folder
}

/// Two models that take images of different sizes, normalised in different ways.
fn two_models(folder: &Path) -> [String; 2] {
    [
        train(folder, "plain", "lenet5", DATA, &["--lr", "0.01"]),
        train(folder, "modern", "lenet5_modern", DATA, &["--size", "20x20", "--limit", "40"]),
    ]
}

fn checkpoint(run: &str) -> (PathBuf, Checkpoint) {
    let path = Path::new(run).join("checkpoint.safetensors");
    let checkpoint = load_checkpoint(&path).unwrap();
    (path, checkpoint)
}

fn reference() -> Device {
    Device::reference()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn assert_close(a: f64, b: f64, bound: f64) {
    assert!((a - b).abs() <= bound, "{a} and {b}");
}

/// The test images in the size that a checkpoint takes.
fn images(checkpoint: &Checkpoint) -> Dataset {
    let [channels, height, width] = checkpoint.header.input;
    let options = LoadOptions::default().size(height, width).channels(channels);
    DATA.parse::<Source>().unwrap().load(&options).unwrap().test
}

/// Probabilities `[images, classes]` of a data set, an image at a time, without what is tested here.
fn probabilities(run: &str, images: &Dataset) -> Vec<f64> {
    let (path, checkpoint) = checkpoint(run);
    let [channels, height, width] = checkpoint.header.input;
    let device = reference();
    let batch = Batch { shape: [1, channels, height, width], classes: 4 };
    let mut evaluator = Evaluator::of(&checkpoint, &path, batch, &device).unwrap();
    let mut logits = |index| evaluator.logits(&images.image(index).unwrap(), &checkpoint.header.normalization).unwrap();
    (0..images.len()).flat_map(|index| softmax(&logits(index))).collect()
}

/// Mean of -log p of the true class.
fn loss(p: &[f64], labels: &[u32]) -> f64 {
    let own = p.chunks_exact(4).zip(labels).map(|(row, &label)| -row[label as usize].ln());
    own.sum::<f64>() / labels.len() as f64
}

/// Share of images whose true class has the highest probability.
fn accuracy(p: &[f64], labels: &[u32]) -> f64 {
    let best = |row: &[f64]| (0..4).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let right = p.chunks_exact(4).zip(labels).filter(|(row, label)| best(row) == **label as usize).count();
    right as f64 / labels.len() as f64
}

fn mean(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| (a + b) / 2.0).collect()
}

fn a_checkpoint_given_twice_is_worth_what_it_is_worth_once() {
    let folder = tempfile::tempdir().unwrap();
    let one = train(folder.path(), "one", "lenet5", DATA, &["--lr", "0.01"]);
    let once = eval(&[&one, "--device", "cpu"]);
    let twice = eval(&[&one, &one, "--device", "cpu"]);
    for same in ["test_accuracy", "top5", "images", "confusion"] {
        assert_eq!(once[same], twice[same], "{same}");
    }
    assert_close(number(&once["test_loss"]), number(&twice["test_loss"]), 1e-14);
    assert_eq!(once["members"].as_array().unwrap().len(), 1);
    let members = twice["members"].as_array().unwrap();
    assert_eq!((members.len(), &members[0]), (2, &members[1]));
    assert_eq!((&members[0]["test_accuracy"], &members[0]["test_loss"]), (&once["test_accuracy"], &once["test_loss"]));
    assert!(number(&twice["seconds"]) > 0.0 && number(&twice["images_per_second"]) > 0.0);
}

fn two_models_of_different_image_sizes_give_the_mean_of_their_probabilities() {
    let folder = tempfile::tempdir().unwrap();
    let [plain, modern] = two_models(folder.path());
    let shown = eval(&[&plain, &modern, "--device", "cpu", "--batch", "7"]);

    let (one, other) = (checkpoint(&plain).1, checkpoint(&modern).1);
    assert_ne!(one.header.input, other.header.input);
    assert_ne!(one.header.normalization, other.header.normalization);
    let (a, b) = (probabilities(&plain, &images(&one)), probabilities(&modern, &images(&other)));
    let labels = images(&one).labels;
    let whole = mean(&a, &b);
    assert_close(number(&shown["test_loss"]), loss(&whole, &labels), 1e-6);
    assert_eq!(number(&shown["test_accuracy"]), accuracy(&whole, &labels));
    for ((member, p), run) in shown["members"].as_array().unwrap().iter().zip([&a, &b]).zip([&plain, &modern]) {
        assert!(member["checkpoint"].as_str().unwrap().starts_with(run));
        assert_close(number(&member["test_loss"]), loss(p, &labels), 1e-6);
        assert_eq!(number(&member["test_accuracy"]), accuracy(p, &labels));
    }
    assert!(loss(&whole, &labels) < (loss(&a, &labels) + loss(&b, &labels)) / 2.0);

    let Ended { stdout, .. } = tilewright(&["eval", &plain, &modern, "--device", "cpu"], 0);
    assert!(stdout.contains("16 images, 2 checkpoints together: top-1"), "{stdout}");
    assert_eq!(stdout.lines().filter(|line| line.contains("checkpoint.safetensors: top-1")).count(), 2, "{stdout}");
}

fn the_views_of_an_image_give_the_mean_of_their_probabilities() {
    let folder = tempfile::tempdir().unwrap();
    let one = train(folder.path(), "one", "lenet5", DATA, &["--lr", "0.01"]);
    let plain = images(&checkpoint(&one).1);
    let mut mirrored = plain.clone();
    let mut reversed = mirrored.images.held().unwrap().to_vec();
    reversed.chunks_exact_mut(16).for_each(<[u8]>::reverse);
    mirrored.images = reversed.into();
    let p = mean(&probabilities(&one, &plain), &probabilities(&one, &mirrored));
    for tta in [&["--tta"][..], &["--tta", "flip"]] {
        let shown = eval(&[&[one.as_str(), "--device", "cpu"], tta].concat());
        assert_close(number(&shown["test_loss"]), loss(&p, &plain.labels), 1e-6);
        assert_eq!(number(&shown["test_accuracy"]), accuracy(&p, &plain.labels));
    }
    let without = number(&eval(&[&one, "--device", "cpu"])["test_loss"]);
    assert!((without - loss(&p, &plain.labels)).abs() > 1e-4, "the images look the same in a mirror");
}

fn views_and_members_go_together_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let paths = two_models(folder.path()).map(|run| checkpoint(&run).0);
    let ensemble = Ensemble::read(&paths, &TestData::default()).unwrap();
    let views = Views { flip: true, crop: 2 };
    let found = ensemble.evaluate(&reference(), 100, views).unwrap();
    let again = ensemble.evaluate(&reference(), 5, views).unwrap();
    assert_eq!((&found.whole, &found.members), (&again.whole, &again.members));

    // The mean over two members of ten views each is that over all twenty, added up here.
    let labels = images(&checkpoint(folder.path().join("plain").to_str().unwrap()).1).labels;
    let mut sum = vec![0.0; labels.len() * 4];
    for path in &paths {
        let checkpoint = load_checkpoint(path).unwrap();
        let [channels, height, width] = checkpoint.header.input;
        let device = reference();
        let batch = Batch { shape: [16, channels, height, width], classes: 4 };
        let mut evaluator = Evaluator::of(&checkpoint, path, batch, &device).unwrap();
        for flip in [false, true] {
            for (top, left) in [(0, 0), (-2, -2), (-2, 2), (2, -2), (2, 2)] {
                let view = View { top, left, flip };
                let normalization = &checkpoint.header.normalization;
                let p = evaluator.log_probabilities(&images(&checkpoint), normalization, &[view]).unwrap();
                sum.iter_mut().zip(p).for_each(|(sum, p)| *sum += p.exp() / 20.0);
            }
        }
    }
    assert_close(found.whole.loss, loss(&sum, &labels), 1e-6);
    assert_eq!(found.whole.top1, accuracy(&sum, &labels));
}

fn a_device_finds_what_the_reference_finds() {
    let folder = tempfile::tempdir().unwrap();
    let [plain, modern] = two_models(folder.path());
    let found = |device: &str| eval(&[&plain, &modern, &plain, "--tta", "flip,crop=2", "--device", device]);
    let (device, cpu) = (found("auto"), found("cpu"));
    assert_close(number(&device["test_loss"]), number(&cpu["test_loss"]), 1e-5);
    assert_eq!(device["test_accuracy"], cpu["test_accuracy"]);
    for (one, other) in device["members"].as_array().unwrap().iter().zip(cpu["members"].as_array().unwrap()) {
        assert_close(number(&one["test_loss"]), number(&other["test_loss"]), 1e-5);
    }
    // Members share the names of their tensors, and none has changed what another holds.
    assert_eq!(device["members"][0], device["members"][2]);
}

fn members_that_order_the_same_classes_differently_are_matched_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let one = train(folder.path(), "one", "lenet5", DATA, &["--lr", "0.01"]);
    let other = train(folder.path(), "other", "lenet5", DATA, &["--lr", "0.01", "--seed", "5"]);
    let names = ["ant", "bee", "cat", "dog"].map(str::to_owned);
    // The class of row `order[i]` comes to stand at i, and the rows of the last layer with it.
    let write = |run: &str, name: &str, order: [usize; 4]| {
        let (path, mut changed) = checkpoint(run);
        changed.header.classes = order.map(|class| names[class].clone()).to_vec();
        for tensor in ["fc3.weight", "fc3.bias"] {
            let (shape, data) = changed.tensors[tensor].clone();
            let rows: Vec<&[f32]> = data.chunks_exact(data.len() / 4).collect();
            let data = order.iter().flat_map(|&class| rows[class]).copied().collect();
            changed.tensors.insert(tensor.to_owned(), (shape, data));
        }
        let path = path.with_file_name(name);
        save_checkpoint(&path, &changed).unwrap();
        path.display().to_string()
    };
    let first = write(&one, "first.safetensors", [0, 1, 2, 3]);
    let same = write(&other, "same.safetensors", [0, 1, 2, 3]);
    let turned = write(&other, "turned.safetensors", [2, 0, 3, 1]);
    let found = |paths: &[&str]| {
        let mut found = eval(&[paths, &["--data", DATA, "--device", "cpu"]].concat());
        for member in found["members"].as_array_mut().unwrap() {
            member.as_object_mut().unwrap().remove("checkpoint");
        }
        ["test_accuracy", "balanced_accuracy", "top5", "test_loss", "confusion", "members"]
            .map(|key| found[key].clone())
    };
    assert_eq!(found(&[&first, &turned]), found(&[&first, &same]));
    assert_ne!(
        found(&[&first, &turned]),
        found(&[&first, &turned, "--classes", "by-position"]),
        "names are not needed"
    );
}

fn what_cannot_be_averaged_is_refused_with_both_files_before_a_device_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let one = train(folder.path(), "one", "lenet5", DATA, &[]);
    let three = train(folder.path(), "three", "lenet5", "synthetic:1x16x16:3:60", &[]);
    // Named so that opening it would be another error.
    let nowhere = ["--device", "no such card"];
    let refused = |runs: &[&str], status, words: &[&str]| {
        fails(&[&["eval"], runs, &nowhere].concat(), status, &[&runs[..2], words].concat());
    };
    refused(&[&one, &three], 1, &["the first has 4 classes, the second 3"]);

    let write = |name: &str, change: &dyn Fn(&mut Checkpoint)| {
        let (_, mut changed) = checkpoint(&one);
        change(&mut changed);
        let path = folder.path().join(name);
        save_checkpoint(&path, &changed).unwrap();
        path.display().to_string()
    };
    let renamed = write("renamed", &|checkpoint| checkpoint.header.classes[2] = "cat".to_owned());
    refused(&[&one, &renamed], 1, &["the first has `2`, the second `cat`"]);

    let elsewhere = write("elsewhere", &|checkpoint| checkpoint.header.config.data = "mnist".parse().unwrap());
    refused(&[&one, &elsewhere], 2, &[DATA, "on mnist", "say on which --data"]);
    let told = eval(&[&one, &elsewhere, "--data", DATA, "--device", "cpu"]);
    assert_eq!(told["images"], 16);

    let imported = write("imported", &|checkpoint| checkpoint.header.without_data = true);
    fails(&["eval", &one, &imported, "--device", "no such card"], 2, &[&imported, "was imported: say on which --data"]);
    fails(
        &["eval", &one, "--data", "mnist"],
        2,
        &[&one, "the model tells 4 classes apart and the data have 10", "does not know `4`, `5`"],
    );
}

fn views_that_are_none_are_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let one = train(folder.path(), "one", "lenet5", DATA, &[]);
    for tta in ["turn", "crop", "crop=0", "crop=-1", "flip,", ""] {
        fails(&["eval", &one, "--tta", tta], 2, &["write flip, crop=4 or flip,crop=4"]);
    }
    fails(&["eval", "--tta", &one], 2, &["checkpoints come before"]);
    fails(&["eval", &one, "--device", "cpu", "--tta", "crop=16"], 2, &["--tta is crop=16"]);
}
