//! The programs of examples/ are small and do what they say.

use crate::need::trials;
use std::fs;
use std::path::Path;
use tilewright::check;
use tilewright::data::{LoadOptions, Source};
use tilewright::gpu::DeviceOptions;
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Changes, Silent, Trainer};

trials! {
    Nothing:
        an_example_has_at_most_eighty_lines;
    Adapter:
        a_network_of_ones_own_trains_on_digits_and_is_resumed,
        images_of_ones_own_are_trained_on_and_found_again,
        a_loss_of_ones_own_trains_and_is_resumed,
        an_optimizer_of_ones_own_agrees_with_its_reference_and_trains,
        an_op_of_ones_own_agrees_with_its_reference_and_trains,
        a_checkpoint_tells_the_digit_of_an_image_file,
        a_loop_of_ones_own_trains_on_both_devices;
}

#[path = "../../examples/own_data.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod own_data;
#[path = "../../examples/own_loop.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod own_loop;
#[path = "../../examples/own_network.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod own_network;
#[path = "../../examples/own_objective.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod own_objective;
#[path = "../../examples/own_op.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod own_op;
#[path = "../../examples/own_optimizer.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod own_optimizer;
#[path = "../../examples/predict.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod predict;

/// Trains in a folder of its own, and goes on from the last checkpoint, which finds by name what the example brought.
fn trains(run: impl Fn(&str, &Path) -> Result<f64, Box<dyn std::error::Error>>, least: f64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let accuracy = run("auto", &path).unwrap();
    assert!(accuracy > least, "{accuracy}");
    let device = Device::reference();
    let resumed = Trainer::resume(&path, &device, &Changes::default());
    let error = resumed.and_then(|mut run| run.run(&mut Silent)).err();
    assert!(error.is_none(), "{error:?}");
}

fn a_network_of_ones_own_trains_on_digits_and_is_resumed() {
    trains(own_network::run, 0.8);
}

fn images_of_ones_own_are_trained_on_and_found_again() {
    trains(own_data::run, 0.9);
}

fn a_loss_of_ones_own_trains_and_is_resumed() {
    trains(own_objective::run, 0.7);
}

fn an_optimizer_of_ones_own_agrees_with_its_reference_and_trains() {
    trains(own_optimizer::run, 0.6);
    let device = Device::open("auto", DeviceOptions::default()).unwrap();
    let cases: Vec<_> = check::cases().into_iter().filter(|case| case.what.starts_with("adabelief")).collect();
    assert!(!cases.is_empty(), "a registered optimizer is checked as the crate's own are");
    cases.iter().for_each(|case| case.check(device.gpu().unwrap()).unwrap());
}

fn an_op_of_ones_own_agrees_with_its_reference_and_trains() {
    trains(own_op::run, 0.8);
}

fn a_checkpoint_tells_the_digit_of_an_image_file() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut recipe = TrainConfig::for_model("lenet5_modern").unwrap();
    (recipe.epochs, recipe.limit, recipe.lr) = (5, Some(1000), 3e-3);
    let device = Device::open("auto", DeviceOptions::default()).unwrap();
    Trainer::create(recipe, &device, Some(&run)).unwrap().run(&mut Silent).unwrap();
    let digits = Source::mnist().load(&LoadOptions::default().limit(20)).unwrap().test;
    let mut right = 0;
    for (index, label) in digits.labels.iter().enumerate() {
        let path = folder.path().join(format!("{index}.png"));
        image::save_buffer(&path, &digits.image(index).unwrap(), 28, 28, image::ColorType::L8).unwrap();
        let classes = predict::run(&run, &path, "auto").unwrap();
        let total: f64 = classes.iter().map(|likelihood| likelihood.probability).sum();
        assert!(classes.len() == 10 && (total - 1.0).abs() < 1e-6, "{classes:?}");
        right += usize::from(classes[0].class == label.to_string());
    }
    assert!(right > 15, "{right} of {}", digits.labels.len());
}

fn a_loop_of_ones_own_trains_on_both_devices() {
    for device in ["auto", "cpu"] {
        let accuracy = own_loop::run(device).unwrap();
        assert!(accuracy > 0.8, "{device}: {accuracy}");
    }
}

fn an_example_has_at_most_eighty_lines() {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 80 || path.ends_with("cut_mnist_sample.rs"), "{}: {lines} lines", path.display());
    }
}
