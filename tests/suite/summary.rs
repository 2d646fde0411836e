//! `tilewright summary` of every model: complete, and at once.

use crate::common::tilewright;
use serde_json::Value;
use std::time::{Duration, Instant};
use tilewright::models;

/// What a summary says as JSON, and how long the command took.
fn summary(model: &str) -> (Value, Duration) {
    // No adapter is asked: the plan is for a GPU with the default limits of WebGPU, which holds eight images.
    let start = Instant::now();
    let ended = tilewright(&["summary", model, "--batch", "8", "--device", "cpu", "--json"], 0);
    let took = start.elapsed();
    (ended.json(), took)
}

#[test]
fn every_model_is_summed_up_within_a_second() {
    for model in models::all() {
        let mut took = Duration::MAX;
        // The best of three: other programs may hold the processor.
        for _ in 0..3 {
            took = took.min(summary(model.name).1);
            if took < Duration::from_secs(1) {
                break;
            }
        }
        assert!(took < Duration::from_secs(1), "{}: {took:?}", model.name);
    }
}

#[test]
fn a_summary_has_layers_that_add_up_and_the_memory_of_both_plans() {
    for name in ["lenet5", "resnet50", "mobilenet_v2", "efficientnet_b0", "densenet40_cifar", "vit_b_16"] {
        let (summary, _) = summary(name);
        let number = |of: &Value, key: &str| of[key].as_u64().unwrap_or_else(|| panic!("{name}: no number {key}"));
        let layers = summary["layers"].as_array().unwrap();
        for key in ["parameters", "flops"] {
            let sum: u64 = layers.iter().map(|layer| number(layer, key)).sum();
            assert_eq!(sum, number(&summary, key), "{name}: {key}");
        }
        let last = layers.last().unwrap();
        assert_eq!(last["output"], serde_json::json!([1, models::find(name).unwrap().num_classes]), "{name}");
        let [training, inference] = ["training_peak_bytes", "inference_peak_bytes"].map(|key| number(&summary, key));
        let parameters = 4 * number(&summary, "parameters");
        assert!(parameters < inference && inference < training, "{name}: {inference} and {training} bytes");
        // Weights, gradients and momentum, and the activations that the backward pass needs.
        assert!(training > 3 * parameters, "{name}: {training} bytes for {parameters} bytes of parameters");
    }
}
