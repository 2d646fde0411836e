//! A training loop of your own, on real digits: the graph, the session, and each step by hand.
//!
//!     cargo run --release --example own_loop [DEVICE]

use std::error::Error;
use tilewright::data::{Batches, LoadOptions, Normalization, Source};
use tilewright::gpu::DeviceOptions;
use tilewright::graph::{Graph, GraphError, Value};
use tilewright::nn::{Conv2d, Mode, Scope};
use tilewright::ops::{CountCorrect, CrossEntropy};
use tilewright::optim::{AdamW, Optimizer, UpdateConfig};
use tilewright::session::{Device, Session};
use tilewright::tensor::TensorSpec;

const BATCH: usize = 50;

/// One graph: images `[BATCH, 1, 28, 28]` to logits.
fn network(graph: &mut Graph, mode: Mode) -> Result<Value, GraphError> {
    let images = graph.input("images", TensorSpec::f32([BATCH, 1, 28, 28]))?;
    let mut net = Scope::new(graph, mode);
    let x = net.conv2d("conv", images, Conv2d::square(16, 5).stride(3))?;
    let x = net.relu(x)?;
    let x = net.flatten(x)?;
    net.linear("fc", x, 10)
}

pub(crate) fn run(device: &str) -> Result<f64, Box<dyn Error>> {
    let mut training = Graph::new();
    let logits = network(&mut training, Mode::Train)?;
    let labels = training.input("labels", TensorSpec::u32([BATCH]))?;
    let loss = training.apply_one(CrossEntropy::default(), &[logits, labels])?;
    training.output("loss", loss);
    let wanted: Vec<Value> = training.trainable().collect();
    let gradients = training.gradients(loss, &wanted)?;
    let update = UpdateConfig::new(Optimizer::new(&AdamW)).attach(&mut training, &gradients)?;

    let mut testing = Graph::new();
    let logits = network(&mut testing, Mode::Eval)?;
    let labels = testing.input("labels", TensorSpec::u32([BATCH]))?;
    let correct = testing.apply_one(CountCorrect { k: 1 }, &[logits, labels])?;
    testing.output("correct", correct);

    // Both graphs share their parameters by name. After this, nothing is compiled or allocated.
    let session = Session::new(&Device::open(device, DeviceOptions::default())?, 1);
    let [mut step, mut test] = session.prepare([&training, &testing])?;

    let digits = Source::mnist().load(&LoadOptions::default().limit(1000))?;
    let normalization = Normalization::of(&digits.train);
    let (mut images, mut labels) = (vec![0.0; BATCH * 28 * 28], vec![0; BATCH]);
    for epoch in 0..3 {
        let batches = Batches::new(&digits.train, BATCH, &normalization)?.shuffled(1, epoch);
        for index in 0..batches.count(true) {
            batches.fill(index, &mut images, &mut labels)?;
            step.write(step.input("images")?, &images)?;
            step.write(step.input("labels")?, &labels)?;
            let done = epoch * batches.count(true) as u64 + index as u64;
            for (name, values) in update.inputs(done, 3e-3) {
                step.write(step.input(name)?, &values)?;
            }
            step.run()?;
        }
        println!("epoch {epoch}: loss {:.3}", step.read(step.output("loss")?)?.wait()?.f32()[0]);
    }
    let batches = Batches::new(&digits.test, BATCH, &normalization)?;
    let mut correct = 0.0;
    for index in 0..batches.count(true) {
        batches.fill(index, &mut images, &mut labels)?;
        test.write(test.input("images")?, &images)?;
        test.write(test.input("labels")?, &labels)?;
        test.run()?;
        correct += f64::from(test.read(test.output("correct")?)?.wait()?.f32()[0]);
    }
    Ok(correct / (batches.count(true) * BATCH) as f64)
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = std::env::args().nth(1).unwrap_or_else(|| "auto".to_owned());
    println!("{:.2} % of the test digits", 100.0 * run(&device)?);
    Ok(())
}
