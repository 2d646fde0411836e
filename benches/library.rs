//! What the host does before and between steps: graphs, plans, shaders, batches. Kernels are measured
//! by `tilewright bench`, beside the device's peak.

use divan::{Bencher, black_box};
use tilewright::data::{Batches, LoadOptions, Normalization, Source};
use tilewright::kernel::{DeviceClass, DeviceProfile};
use tilewright::models::{self, ModelOptions};
use tilewright::nn::Mode;
use tilewright::plan::Plan;
use tilewright::recipe::TrainConfig;
use tilewright::shader;
use tilewright::train::{Batch, training_graph};

const MODELS: [&str; 3] = ["lenet5", "resnet18_cifar", "efficientnet_b0"];

fn main() {
    divan::main();
}

fn training(name: &str) -> tilewright::graph::Graph {
    let [channels, height, width] = models::find(name).expect("it is in the list").input;
    let config = TrainConfig { model: name.to_owned(), ..TrainConfig::default() };
    let batch = Batch { shape: [8, channels, height, width], classes: 10 };
    training_graph(&config, batch).expect("the defaults build").0
}

/// Forward graph from the model's figure.
#[divan::bench(args = MODELS)]
fn build_model(name: &str) -> usize {
    let model = models::find(name).expect("it is in the list");
    let built = model.graph(&ModelOptions::new(), 8, Mode::Train).expect("the defaults build");
    built.graph.nodes().len()
}

/// Forward, backward and update graph.
#[divan::bench(args = MODELS)]
fn build_training_graph(name: &str) -> usize {
    training(name).nodes().len()
}

/// Kernels, memory and order of a training step.
#[divan::bench(args = MODELS)]
fn plan_training_step(bencher: Bencher, name: &str) {
    let graph = training(name);
    let profile = DeviceProfile::webgpu_defaults(DeviceClass::Gpu);
    bencher.bench(|| Plan::new(black_box(&graph), &profile).expect("it fits the default limits").steps.len());
}

/// WGSL of all kernels of a step.
#[divan::bench(args = MODELS)]
fn put_shaders_together(bencher: Bencher, name: &str) {
    let profile = DeviceProfile::webgpu_defaults(DeviceClass::Gpu);
    let plan = Plan::new(&training(name), &profile).expect("it fits the default limits");
    bencher.bench(|| {
        plan.steps.iter().map(|step| shader::compile(&step.kernel).expect("shaders are whole").len()).sum::<usize>()
    });
}

/// One shuffled and normalised batch of the bundled digits.
#[divan::bench(args = [64, 512])]
fn fill_batch(bencher: Bencher, size: usize) {
    let train = Source::mnist().load(&LoadOptions::default()).expect("the sample is bundled").train;
    let batches = Batches::new(&train, size, &Normalization::of(&train)).expect("a size above 0").shuffled(1, 0);
    let (mut images, mut labels) = (vec![0.0; size * train.image_len()], vec![0; size]);
    bencher.bench_local(|| batches.fill(3, &mut images, &mut labels).unwrap());
}
