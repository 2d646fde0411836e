//! What a trained network says of an image file: inference from a checkpoint.
//!
//!     cargo run --release --example predict RUN_OR_CHECKPOINT IMAGE [DEVICE]

use std::error::Error;
use std::path::Path;
use tilewright::gpu::DeviceOptions;
use tilewright::session::Device;
use tilewright::train::{Classifier, Likelihood};

/// All classes, the likeliest first. The image may have any size: the checkpoint knows how it is brought to the model's.
pub(crate) fn run(checkpoint: &Path, image: &Path, device: &str) -> Result<Vec<Likelihood>, Box<dyn Error>> {
    let device = Device::open(device, DeviceOptions::default())?;
    let mut model = Classifier::open(checkpoint, &device)?;
    Ok(model.classify(image)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (checkpoint, image, device) = match &arguments[..] {
        [checkpoint, image] => (checkpoint, image, "auto"),
        [checkpoint, image, device] => (checkpoint, image, device.as_str()),
        _ => return Err("usage: predict RUN_OR_CHECKPOINT IMAGE [DEVICE]".into()),
    };
    for likelihood in run(checkpoint.as_ref(), image.as_ref(), device)?.iter().take(3) {
        println!("{:6.2} %  {}", 100.0 * likelihood.probability, likelihood.class);
    }
    Ok(())
}
