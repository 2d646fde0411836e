//! The programs of examples/ are small and do what they say.

use crate::need::trials;
use std::fs;
use std::path::Path;

trials! {
    Nothing:
        an_example_has_at_most_eighty_lines;
    Adapter:
        a_network_of_ones_own_trains_on_digits_and_is_resumed,
        images_of_ones_own_are_trained_on_and_found_again,
        a_loss_of_ones_own_trains_and_is_resumed,
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

/// Trains in a folder of its own, and goes on from the last checkpoint, which finds by name what the example brought.
fn trains(run: impl Fn(&str, &Path) -> Result<f64, Box<dyn std::error::Error>>, least: f64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let accuracy = run("auto", &path).unwrap();
    assert!(accuracy > least, "{accuracy}");
    let device = tilewright::session::Device::reference();
    let resumed = tilewright::train::Trainer::resume(&path, &device, &tilewright::train::Changes::default());
    let error = resumed.and_then(|mut run| run.run(&mut tilewright::train::Silent)).err();
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
