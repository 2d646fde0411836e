//! What `tilewright export RUN PAGE/` writes: a folded model that computes what the checkpoint computes, and a folder.

use crate::common::{fixture, tilewright};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tilewright::checkpoint::{Checkpoint, load_checkpoint};
use tilewright::graph::Graph;
use tilewright::interop::{Labels, StateDict, fold, import, model_tensors, read_folded};
use tilewright::models::{self, ModelOptions};
use tilewright::nn::Mode;
use tilewright::recipe::{Precision, TrainConfig};
use tilewright::session::Device;
use tilewright::train::{Batch, Evaluator, evaluation_graph};

/// Numbers that differ from place to place; what normalises is near 1.
fn checkpoint(name: &str, options: &ModelOptions) -> Checkpoint {
    let model = models::find(name).unwrap();
    let tensors = model_tensors(model, options).unwrap().into_iter().map(|(name, shape)| {
        let fan_in = shape.iter().skip(1).product::<usize>().max(1) as f32;
        let (middle, spread) = match name.rsplit('.').next() {
            Some("running_var" | "weight") if shape.len() == 1 => (1.0, 0.4),
            Some("bias" | "running_mean") => (0.0, 0.1),
            _ => (0.0, 2.0 / fan_in.sqrt()),
        };
        let phase = name.bytes().map(f32::from).sum::<f32>();
        let data = (0..shape.elements()).map(|i| middle + spread * (i as f32 * 0.7 + phase).sin()).collect();
        (name, (shape, data))
    });
    import(model, options, tensors.collect::<StateDict>(), &fixture("none"), Labels::default()).unwrap()
}

fn small(name: &str) -> (Checkpoint, Batch) {
    let options = ModelOptions::new().num_classes(5);
    let (options, [channels, size]) = match name {
        "lenet5" => (options.image_size(12, 12), [1, 12]),
        _ => (options.with("width", 8).image_size(8, 8), [3, 8]),
    };
    (checkpoint(name, &options), Batch { shape: [2, channels, size, size], classes: 5 })
}

fn logits(mut evaluator: Evaluator, checkpoint: &Checkpoint, batch: Batch) -> Vec<f32> {
    let images: Vec<u8> = (0..batch.shape.iter().product()).map(|i: usize| (i * i * 37 % 256) as u8).collect();
    evaluator.logits(&images, &checkpoint.header.normalization).unwrap()
}

#[test]
fn a_folded_model_has_the_logits_of_its_checkpoint_and_in_f16_half_the_bytes() {
    let (path, device) = (fixture("none"), Device::reference());
    for name in ["lenet5", "resnet18_cifar"] {
        let (checkpoint, batch) = small(name);
        let wanted = logits(Evaluator::of(&checkpoint, &path, batch, &device).unwrap(), &checkpoint, batch);
        let largest = wanted.iter().fold(0f32, |largest, x| largest.max(x.abs()));
        assert!(
            largest > 0.0 && wanted[0] != wanted[1] && wanted[0] != wanted[5],
            "{name}: logits that tell something"
        );
        let mut lengths = Vec::new();
        for (precision, bound) in [(Precision::F32, 0.0), (Precision::F16, 5e-3)] {
            let bytes = fold(&checkpoint, &path, precision).unwrap();
            lengths.push(bytes.len());
            let folded = read_folded(&path, &bytes).unwrap();
            let (header, kept) = (&folded.header, &checkpoint.header);
            assert_eq!(
                (&header.classes, header.input, &header.normalization),
                (&kept.classes, kept.input, &kept.normalization)
            );
            assert!(!folded.tensors.keys().any(|name| name.ends_with("running_var")), "{name} has batch norms left");
            let evaluator = pollster::block_on(Evaluator::of_folded(&folded, &path, batch, &device)).unwrap();
            for (found, wanted) in logits(evaluator, &folded, batch).iter().zip(&wanted) {
                assert!((found - wanted).abs() <= bound * largest, "{name} in {precision}: {found}, not {wanted}");
            }
        }
        assert!(lengths[1] < lengths[0] * 55 / 100, "{name}: {lengths:?}");
    }
}

#[test]
fn every_model_reads_the_tensors_that_its_page_gets() {
    for model in models::all() {
        let config = TrainConfig { model: model.name.to_owned(), ..TrainConfig::default() };
        let [channels, height, width] = model.input(&ModelOptions::new()).unwrap();
        let options = ModelOptions::new().num_classes(3).input_channels(channels).image_size(height, width);
        let written = model.graph(&options, 1, Mode::Eval).unwrap().graph;
        let read = evaluation_graph(&config, Batch { shape: [1, channels, height, width], classes: 3 }).unwrap();
        let [written, read] = [written, read].map(|graph| names(&graph.fold_batch_norm().graph));
        assert_eq!(written, read, "{}", model.name);
    }
}

fn names(graph: &Graph) -> BTreeSet<String> {
    graph.tensors().iter().filter(|tensor| tensor.is_saved()).map(|tensor| tensor.name.clone()).collect()
}

#[test]
fn what_f16_cannot_hold_is_told_and_so_is_what_is_no_model_of_a_page() {
    let path = fixture("none");
    let (mut checkpoint, _) = small("lenet5");
    checkpoint.tensors.get_mut("fc3.bias").unwrap().1[1] = 7e4;
    let told = fold(&checkpoint, &path, Precision::F16).unwrap_err().to_string();
    assert!(told.contains("must be f32, as `fc3.bias` holds 70000, and f16 ends at 65504"), "{told}");
    assert!(fold(&checkpoint, &path, Precision::F32).is_ok());

    let whole = fold(&checkpoint, &path, Precision::F32).unwrap();
    for length in (0..whole.len()).step_by(997) {
        assert!(read_folded(&path, &whole[..length]).is_err(), "{length} bytes");
    }
    let weights = fs::read(fixture("lenet5.safetensors")).unwrap();
    let told = read_folded(&path, &weights).unwrap_err().to_string();
    assert!(told.contains("it is no model of a page"), "{told}");
}

/// A run's checkpoint, a folder that stands for that of `make web`, and one for the page.
fn prepared(folder: &Path) -> [PathBuf; 3] {
    let [checkpoint, program, page] = ["checkpoint.safetensors", "program", "page/"].map(|name| folder.join(name));
    let [file, out] = [&fixture("lenet5.safetensors"), &checkpoint].map(|path| path.to_str().unwrap().to_owned());
    tilewright(&["import", "lenet5", &file, "--set", "image_size=[12,12]", "--out", &out], 0);
    fs::create_dir_all(program.join("model")).unwrap();
    for file in ["tilewright_bg.wasm", "tilewright.js", "style.css", "ask.js", "classes.js", "dom.js"] {
        fs::write(program.join(file), file).unwrap();
    }
    for file in ["index.html", "model.js", "model-worker.js"] {
        fs::write(program.join("model").join(file), file).unwrap();
    }
    [checkpoint, program, page]
}

#[test]
fn a_page_is_a_folder_with_the_program_and_the_model_and_nothing_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let [checkpoint, program, page] = prepared(folder.path());
    let [from, with, to] = [&checkpoint, &program, &page].map(|path| path.to_str().unwrap());
    for _ in 0..2 {
        // The second time over the first.
        tilewright(&["export", from, to, "--program", with], 0).says("a page of ");
    }
    let found: BTreeSet<String> =
        fs::read_dir(&page).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found.len(), 10, "{found:?}");
    assert_eq!(fs::read_to_string(page.join("index.html")).unwrap(), "index.html");
    let model = fs::read(page.join("model.safetensors")).unwrap();
    assert_eq!(
        read_folded(&page, &model).unwrap().header.classes,
        load_checkpoint(&checkpoint).unwrap().header.classes
    );
    let text = String::from_utf8_lossy(&model);
    assert!(!text.contains("mnist") && !text.contains("adam"), "data and settings of the run stay at home");
}

#[test]
fn a_page_without_its_program_and_a_folder_with_other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [checkpoint, program, page] = prepared(folder.path());
    let [from, with, to] = [&checkpoint, &program, &page].map(|path| path.to_str().unwrap());
    let export = |arguments: &[&str], status| tilewright(&[&["export", from][..], arguments].concat(), status);
    export(&[to, "--program", folder.path().to_str().unwrap()], 2).says("`make web` in the sources builds it");
    fs::create_dir(&page).unwrap();
    fs::write(page.join("thesis.txt"), "").unwrap();
    export(&[to, "--program", with], 2).says("has other files in it, such as `thesis.txt`");
    assert!(!page.join("index.html").exists());
    export(&[to, "--program", with, "--force"], 0);
    assert!(page.join("thesis.txt").exists());
    let weights = folder.path().join("out.safetensors");
    export(&[weights.to_str().unwrap(), "--precision", "f16"], 2).says("--precision is for a page");
    export(&["out.txt"], 2).says("nor in a slash");
}
