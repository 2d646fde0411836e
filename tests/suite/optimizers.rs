//! Every optimizer trains with what runs ask of it, and goes on where it stopped.

use std::collections::BTreeMap;
use std::path::Path;
use tilewright::checkpoint::load_checkpoint;
use tilewright::optim::{Exclude, Optimizer};
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Changes, Silent, Trainer};

/// Two epochs of three steps, with all that an update may have.
fn config(optimizer: &Optimizer) -> TrainConfig {
    let mut config = TrainConfig::for_model("lenet5_modern").unwrap();
    config.data = "synthetic:1x12x12:3:24".parse().unwrap();
    config.size = Some((12, 12));
    config.attributes.insert("image_size".to_owned(), serde_json::json!([12, 12]));
    config.optimizer = optimizer.clone();
    (config.epochs, config.batch, config.micro_batch, config.lr) = (2, 8, Some(4), 0.01);
    config.decay_exclude = vec![Exclude::Bias];
    config.layer_decay = Some(0.5);
    config.group = vec!["fc2:lr=2,weight_decay=0.5".parse().unwrap()];
    config.clip_grad_norm = Some(0.5);
    config.average = Some("ema:decay=0.9".parse().unwrap());
    config
}

/// What the checkpoint of a run has.
fn tensors(run: &Path) -> BTreeMap<String, Vec<f32>> {
    let tensors = load_checkpoint(&run.join("checkpoint.safetensors")).unwrap().tensors;
    tensors.into_iter().map(|(name, (_, data))| (name, data)).collect()
}

fn trained(config: TrainConfig) -> BTreeMap<String, Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    Trainer::create(config, &Device::reference(), Some(&run)).unwrap().run(&mut Silent).unwrap();
    tensors(&run)
}

#[test]
fn every_optimizer_goes_on_to_the_same_bits() {
    for optimizer in Optimizer::all() {
        let whole = trained(config(&optimizer));
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let mut first = Trainer::create(config(&optimizer), &Device::reference(), Some(&run)).unwrap();
        first.run_to(1, &mut Silent).unwrap();
        drop(first);
        assert_ne!(tensors(&run), whole, "{optimizer}: the second epoch changes nothing");
        let changes = Changes::default();
        Trainer::resume(&run, &Device::reference(), &changes).unwrap().run(&mut Silent).unwrap();
        assert_eq!(tensors(&run), whole, "{optimizer}");
    }
}

#[test]
fn every_optimizer_takes_a_batch_in_parts() {
    for optimizer in Optimizer::all() {
        // A sign may turn where a gradient is nearly 0.
        if ["signsgd", "lion"].contains(&optimizer.name()) {
            continue;
        }
        let run = |micro_batch| trained(TrainConfig { micro_batch, ..config(&optimizer) });
        let (whole, parts) = (run(None), run(Some(4)));
        for (name, whole) in whole.iter().filter(|(name, _)| !name.starts_with("optimizer.")) {
            let difference = whole.iter().zip(&parts[name]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 2e-4, "{optimizer}, {name}: {difference}");
        }
    }
}

#[test]
fn muon_has_the_matrices_between_the_first_layer_and_the_last() {
    let tensors = trained(config(&"muon".parse().unwrap()));
    let of = |state: &str| -> Vec<&str> {
        tensors.keys().filter_map(|name| name.strip_prefix(&format!("optimizer.{state}."))).collect()
    };
    assert_eq!(of("momentum_buffer"), ["conv2.weight", "fc1.weight", "fc2.weight"]);
    let adamw = ["conv1.bias", "conv1.weight", "conv2.bias", "fc1.bias", "fc2.bias", "fc3.bias", "fc3.weight"];
    assert_eq!(of("exp_avg"), adamw);
}
