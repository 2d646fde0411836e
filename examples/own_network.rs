//! A network of your own, trained on the bundled digits, with its run folder, and asked about a digit again.
//!
//!     cargo run --release --example own_network [DEVICE]

use std::error::Error;
use tilewright::data::{LoadOptions, Source};
use tilewright::gpu::DeviceOptions;
use tilewright::graph::{GraphError, Value};
use tilewright::models::{self, Model, Settings, Takes};
use tilewright::nn::{Conv2d, Scope};
use tilewright::ops::MaxPool2d;
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Classifier, Silent, Trainer};

/// Two convolutions and a linear layer. `width` filters are what a user may ask for.
fn small(net: &mut Scope, images: Value, with: &Settings) -> Result<Value, GraphError> {
    let width = with.count("width")?;
    let x = net.conv2d("conv1", images, Conv2d::square(width, 5).stride(2).without_bias())?;
    let x = net.batch_norm("bn1", x)?;
    let x = net.relu(x)?;
    let x = net.conv2d("conv2", x, Conv2d::square(2 * width, 3))?;
    let x = net.relu(x)?;
    let x = net.max_pool2d(x, MaxPool2d::square(2))?;
    let x = net.flatten(x)?;
    net.linear("fc", x, with.num_classes)
}

const SMALL: Model = Model::new("small", [1, 28, 28], 10, small).with_attributes(&[("width", Takes::Count(8))]);

pub(crate) fn run(device: &str, folder: &std::path::Path) -> Result<f64, Box<dyn Error>> {
    // From here on the model has a name: recipes, checkpoints, a resumed run and the export find it.
    models::register(SMALL)?;
    let device = Device::open(device, DeviceOptions::default())?;
    let mut recipe = TrainConfig::for_model("small")?;
    (recipe.epochs, recipe.limit, recipe.lr) = (4, Some(1000), 3e-3);
    let outcome = Trainer::create(recipe, &device, Some(folder))?.run(&mut Silent)?;

    let digits = Source::mnist().load(&LoadOptions::default().limit(10))?.test;
    let mut model = Classifier::open(folder, &device)?;
    let best = &model.classify_pixels(&digits.image(0)?)?[0];
    println!("a {} is taken for a {} ({:.0} %)", digits.labels[0], best.class, 100.0 * best.probability);
    Ok(outcome.best_accuracy)
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = std::env::args().nth(1).unwrap_or_else(|| "auto".to_owned());
    let accuracy = run(&device, std::path::Path::new("runs/own-network"))?;
    println!("{:.2} % of the test digits", 100.0 * accuracy);
    Ok(())
}
