//! Activations that are computed again: how much memory it saves, and that nothing else changes.

use crate::common::tilewright;
use std::fs;
use tempfile::tempdir;
use tilewright::checkpoint::load_checkpoint;
use tilewright::graph::{Graph, Role};
use tilewright::kernel::{DeviceClass, DeviceProfile};
use tilewright::models::{self, ModelOptions};
use tilewright::plan::Plan;
use tilewright::recipe::TrainConfig;
use tilewright::train::{Batch, training_graph};

fn graph(model: &str, batch: usize, recompute: bool) -> Graph {
    let [channels, height, width] = models::find(model).unwrap().input(&ModelOptions::new()).unwrap();
    let config = TrainConfig { model: model.to_owned(), recompute, ..TrainConfig::default() };
    training_graph(&config, Batch { shape: [batch, channels, height, width], classes: 10 }).unwrap().0
}

fn peak(graph: &Graph, class: DeviceClass) -> u64 {
    let mut profile = DeviceProfile::webgpu_defaults(class);
    (profile.half, profile.max_binding_bytes) = (true, (2 << 30) - 4);
    Plan::new(graph, &profile).unwrap().memory.peak()
}

#[test]
fn resnet_50_takes_three_fifths_of_the_memory() {
    for class in [DeviceClass::Gpu, DeviceClass::Cpu] {
        let [all, fewer] = [false, true].map(|recompute| peak(&graph("resnet50", 32, recompute), class));
        assert!(10 * fewer < 6 * all, "{class:?}: {fewer} of {all} bytes");
    }
}

#[test]
fn no_model_takes_more_memory_and_no_node_reads_what_is_not_there_yet() {
    for model in models::all() {
        let [all, fewer] = [false, true].map(|recompute| graph(model.name, 2, recompute));
        assert!(peak(&fewer, DeviceClass::Gpu) <= peak(&all, DeviceClass::Gpu), "{}", model.name);
        for (index, node) in fewer.nodes().iter().enumerate() {
            let is_before = |role: &Role| !matches!(role, Role::Node { node, .. } if *node >= index);
            assert!(node.inputs.iter().all(|&input| is_before(&fewer.tensor(input).role)), "{}: {index}", model.name);
        }
        let written = |graph: &Graph| graph.nodes().iter().filter(|node| !node.op.updates().is_empty()).count();
        assert_eq!(written(&fewer), written(&all), "{}: what is written in place is written once", model.name);
    }
}

/// Networks with dropout, with sums, squeeze and excitation, and with concatenations, on small images.
const RUNS: [(&str, &str); 3] = [
    ("cifar_cnn", "synthetic:3x16x16:2:4"),
    ("mobilenet_v3_small", "synthetic:3x32x32:2:2"),
    ("densenet40_cifar", "synthetic:3x8x8:2:2"),
];

#[test]
fn a_run_ends_with_the_same_bits() {
    let folder = tempdir().unwrap();
    for (model, data) in RUNS {
        let weights = ["all", "fewer"].map(|name| {
            let run = folder.path().join(format!("{model}-{name}"));
            let train = ["train", model, "--device", "cpu", "--data", data, "--batch", "2", "--epochs", "1"];
            let own: &[&str] = if name == "fewer" { &["--recompute"] } else { &[] };
            tilewright(&[&train[..], &["--run", run.to_str().unwrap()], own].concat(), 0);
            load_checkpoint(&run.join("checkpoint.safetensors")).unwrap().tensors
        });
        assert!(weights[0] == weights[1], "{model}");
    }
}

#[test]
fn a_run_goes_on_with_fewer_activations() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    let run = run.to_str().unwrap();
    let train =
        ["train", "lenet5", "--device", "cpu", "--data", "synthetic:1x12x12:2:16", "--batch", "4", "--epochs", "1"];
    tilewright(&[&train[..], &["--run", run]].concat(), 0);
    let resume = ["train", "--device", "cpu", "--resume", run, "--epochs", "2"];
    tilewright(&[&resume[..], &["--recompute"]].concat(), 0).says("recompute was false, and is true from here on");
    assert!(fs::read_to_string(format!("{run}/config.toml")).unwrap().contains("recompute = true"));
}
