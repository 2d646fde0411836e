//! Every model for MNIST and CIFAR images trains: one epoch of a few images on the device, and the loss of
//! the last step is a number.
//!
//! What takes time is to compile the kernels, above all on a software adapter, and small problems have small
//! ones: images are the smallest that a model takes, and those with a width or depth are narrow or shallow.
//! The tests run side by side.

use crate::need::trials;
use serde_json::json;
use std::time::Instant;
use tilewright::gpu::DeviceOptions;
use tilewright::models::{self, Model};
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Silent, Trainer};

trials! {
    Adapter:
        every_plain_mnist_and_cifar_model_trains_an_epoch_without_a_nan,
        googlenet_trains_an_epoch_without_a_nan,
        every_residual_cifar_model_trains_an_epoch_without_a_nan,
        densenet_trains_an_epoch_without_a_nan,
        every_mnist_and_cifar_model_is_in_one_of_the_tests_above;
}

/// Models of a test, by what their names begin with.
const PARTS: [&[&str]; 4] = [
    &["lenet5", "mnist", "airbench", "cifar_cnn", "cs231n_cnn", "alexnet", "vgg", "nin"],
    &["googlenet"],
    &["resnet", "se_resnet", "resnext", "preact_resnet"],
    &["densenet"],
];

/// Height and width of images, and attributes that make the model small.
fn small(model: &Model) -> (usize, serde_json::Value) {
    match model.name {
        "lenet5" | "lenet5_modern" => (12, json!({})),
        "airbench94" => (25, json!({ "widths": [8, 8, 8] })),
        // Ten convolutions take two pixels each.
        "mnist_m3" => (22, json!({})),
        "alexnet_cifar" => (16, json!({ "width": 8 })),
        "vgg_a_cifar" => (32, json!({ "width": 8, "hidden": 16 })),
        "vgg13_cifar" => (16, json!({ "width": 8, "hidden": 16, "batch_norm": true })),
        // Three layers in a block instead of twelve.
        "densenet40_cifar" => (8, json!({ "depth": 13 })),
        _ => (8, json!({})),
    }
}

fn of_part(model: &Model, part: &[&str]) -> bool {
    part.iter().any(|start| model.name.starts_with(start))
}

fn small_images() -> impl Iterator<Item = &'static Model> {
    // Not those that other tests bring.
    models::all().filter(|model| (28..=32).contains(&model.input[1]))
}

/// Trains each model of a part for an epoch of two steps.
fn train(part: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let mut trained = 0;
    for model in small_images().filter(|model| of_part(model, part)) {
        let (size, attributes) = small(model);
        let config = TrainConfig {
            model: model.name.to_owned(),
            data: format!("synthetic:{}x{size}x{size}:10:4", model.input[0]).parse().unwrap(),
            epochs: 1,
            batch: 2,
            attributes: serde_json::from_value(attributes).unwrap(),
            ..TrainConfig::default()
        };
        let start = Instant::now();
        let device = Device::open("auto", DeviceOptions::default()).unwrap();
        let mut trainer = Trainer::create(config, &device, Some(&folder.path().join(model.name))).unwrap();
        // A loss that is not a number ends the run with an error.
        let outcome = trainer.run(&mut Silent).unwrap_or_else(|error| panic!("{}: {error}", model.name));
        let test = outcome.test.unwrap();
        assert!(test.loss.is_finite() && test.images > 0, "{}: {test:?}", model.name);
        println!("{}: test loss {:.3}, {:.1} s", model.name, test.loss, start.elapsed().as_secs_f64());
        trained += 1;
    }
    assert!(trained > 0, "no model is named like {part:?}");
}

fn every_plain_mnist_and_cifar_model_trains_an_epoch_without_a_nan() {
    train(PARTS[0]);
}

fn googlenet_trains_an_epoch_without_a_nan() {
    train(PARTS[1]);
}

fn every_residual_cifar_model_trains_an_epoch_without_a_nan() {
    train(PARTS[2]);
}

fn densenet_trains_an_epoch_without_a_nan() {
    train(PARTS[3]);
}

fn every_mnist_and_cifar_model_is_in_one_of_the_tests_above() {
    for model in small_images() {
        assert_eq!(PARTS.iter().filter(|part| of_part(model, part)).count(), 1, "{}", model.name);
    }
}
