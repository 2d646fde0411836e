//! Images of your own, from wherever they are: here bars that lie or stand, drawn as they are asked for.
//!
//!     cargo run --release --example own_data [DEVICE]

use std::error::Error;
use std::path::Path;
use tilewright::data::{self, Dataset, LoadOptions, Splits};
use tilewright::gpu::DeviceOptions;
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Silent, Trainer};

const SIZE: usize = 28;

/// `count` images of a bar under noise, every other one standing.
fn bars(name: &str, count: usize) -> Result<Dataset, data::DataError> {
    let mut noise = 12345u32;
    let mut images = Vec::with_capacity(count * SIZE * SIZE);
    let labels: Vec<u32> = (0..count as u32).map(|index| index % 2).collect();
    for (index, &label) in labels.iter().enumerate() {
        let at = 4 + index % 20;
        for (y, x) in (0..SIZE).flat_map(|y| (0..SIZE).map(move |x| (y, x))) {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let is_bar = if label == 0 { y.abs_diff(at) < 2 } else { x.abs_diff(at) < 2 };
            images.push((noise >> 26) as u8 + if is_bar { 150 } else { 0 });
        }
    }
    Dataset::new(name, [1, SIZE, SIZE], vec!["lying".to_owned(), "standing".to_owned()], images, labels)
}

/// What stands after `bars:` is the number of training images.
fn load(rest: &str, _: &LoadOptions) -> Result<Splits, Box<dyn Error>> {
    let count = rest.parse().map_err(|_| format!("write it like `bars:400`, not `bars:{rest}`"))?;
    Ok(Splits::new(bars("bars (train)", count)?, bars("bars (test)", 100)?))
}

pub(crate) fn run(device: &str, folder: &Path) -> Result<f64, Box<dyn Error>> {
    // From here on `bars:400` is a source, in recipes and in checkpoints.
    data::register("bars", load);
    let mut recipe = TrainConfig::for_model("lenet5_modern")?;
    recipe.data = "bars:400".parse()?;
    recipe.epochs = 2;
    let device = Device::open(device, DeviceOptions::default())?;
    Ok(Trainer::create(recipe, &device, Some(folder))?.run(&mut Silent)?.best_accuracy)
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = std::env::args().nth(1).unwrap_or_else(|| "auto".to_owned());
    println!("{:.2} % of the test bars", 100.0 * run(&device, Path::new("runs/own-data"))?);
    Ok(())
}
