//! Parameters with a rate or a weight decay of their own are trained as a run with these settings trains them.

use std::collections::BTreeMap;
use tilewright::checkpoint::load_checkpoint;
use tilewright::optim::{Exclude, ParameterGroup};
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Silent, Trainer};

/// The parameters of a short run on the reference.
fn trained(change: impl Fn(&mut TrainConfig)) -> BTreeMap<String, Vec<f32>> {
    let mut config = TrainConfig::for_model("lenet5_modern").unwrap();
    config.data = "synthetic:1x12x12:3:24".parse().unwrap();
    config.size = Some((12, 12));
    config.attributes.insert("image_size".to_owned(), serde_json::json!([12, 12]));
    config.optimizer = "adamw:weight_decay=0.1".parse().unwrap();
    (config.epochs, config.batch, config.lr, config.flip, config.crop) = (1, 8, 0.01, false, 0);
    change(&mut config);
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    Trainer::create(config, &Device::reference(), Some(&run)).unwrap().run(&mut Silent).unwrap();
    let tensors = load_checkpoint(&run.join("checkpoint.safetensors")).unwrap().tensors;
    tensors
        .into_iter()
        .filter(|(name, _)| !name.starts_with("optimizer."))
        .map(|(name, (_, data))| (name, data))
        .collect()
}

fn group(text: &str) -> Vec<ParameterGroup> {
    vec![text.parse().unwrap()]
}

#[test]
fn a_group_of_all_parameters_is_the_run_with_those_settings() {
    let without_decay = trained(|config| config.optimizer = "adamw:weight_decay=0".parse().unwrap());
    let with_decay = trained(|_| {});
    assert_ne!(without_decay, with_decay);
    assert_eq!(trained(|config| config.group = group("*:weight_decay=0")), without_decay);
    let all = |config: &mut TrainConfig| config.decay_exclude = vec![Exclude::Pattern("*".to_owned())];
    assert_eq!(trained(all), without_decay);
    let half = trained(|config| config.lr = 0.005);
    assert_eq!(trained(|config| config.group = group("*:lr=0.5")), half, "half of a rate is exact");
}

#[test]
fn a_rate_of_zero_leaves_a_layer_as_it_is_and_trains_the_others() {
    let begun = trained(|config| (config.lr, config.optimizer) = (0.0, "sgd".parse().unwrap()));
    let layer = "conv1";
    let ended = trained(|config| config.group = group("conv1:lr=0"));
    for (name, values) in &begun {
        let is_still = name.starts_with(&format!("{layer}."));
        assert_eq!(is_still, ended[name] == *values, "{name}");
    }
}

#[test]
fn groups_hold_when_a_batch_is_taken_in_parts() {
    let both = |micro_batch: Option<usize>| {
        trained(|config| {
            config.micro_batch = micro_batch;
            config.decay_exclude = vec![Exclude::Bias];
            config.layer_decay = Some(0.5);
            config.group = group("fc3:lr=2,weight_decay=0.5");
        })
    };
    for (name, whole) in both(None) {
        let parts = &both(Some(4))[&name];
        let difference = whole.iter().zip(parts).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 2e-4, "{name}: {difference}");
    }
}
