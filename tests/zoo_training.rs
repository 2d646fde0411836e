//! Every model for MNIST and CIFAR images trains: one epoch of a few images on the device, and the loss
//! of the last step is a number.

use std::time::Instant;
use tilewright::engine::Engine;
use tilewright::gpu::DeviceOptions;
use tilewright::models;
use tilewright::train::{Silent, TrainConfig, Trainer};

#[test]
#[ignore = "compiles the kernels of twenty models, which takes a software adapter minutes: cargo nextest run \
            --release --run-ignored all --test zoo_training"]
fn every_mnist_and_cifar_model_trains_an_epoch_without_a_nan() {
    let folder = tempfile::tempdir().unwrap();
    for model in models::all().filter(|model| model.input[1] <= 32) {
        let [channels, height, width] = model.input;
        let config = TrainConfig {
            model: model.name.to_owned(),
            data: format!("synthetic:{channels}x{height}x{width}:10:20").parse().unwrap(),
            epochs: 1,
            batch: 10,
            ..TrainConfig::default()
        };
        let start = Instant::now();
        let engine = Engine::open("auto", DeviceOptions::default(), 1).unwrap();
        let mut trainer = Trainer::create(config, engine, Some(&folder.path().join(model.name))).unwrap();
        // A loss that is not a number ends the run with an error.
        let outcome = trainer.run(&mut Silent).unwrap_or_else(|error| panic!("{}: {error}", model.name));
        assert!(outcome.test.loss.is_finite() && outcome.test.images > 0, "{}: {:?}", model.name, outcome.test);
        println!("{}: test loss {:.3}, {:.1} s", model.name, outcome.test.loss, start.elapsed().as_secs_f64());
    }
}
