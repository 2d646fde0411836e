//! Weights that go back to their average every few steps.

use std::collections::HashMap;
use tilewright::checkpoint::load_checkpoint;
use tilewright::graph::{Graph, Init};
use tilewright::optim::{Averaging, UpdateConfig};
use tilewright::recipe::TrainConfig;
use tilewright::session::{Device, Session};
use tilewright::tensor::TensorSpec;
use tilewright::train::{Silent, Trainer};

/// The gradient of each step.
const GRADIENTS: [[f32; 3]; 5] =
    [[1.0, -2.0, 0.5], [0.25, 1.0, -1.0], [-0.5, 0.5, 2.0], [1.5, -1.0, 0.75], [0.1, 0.2, -0.3]];

/// The weights after each step, from `torch.optim.SGD(lr=0.1, momentum=0.9, nesterov=True)`, whose weights airbench94's
/// `LookaheadState` takes every second step with a decay of 0.8 t / 5, and with one of 1 after the last.
const PYTORCH: [[f32; 3]; 5] = [
    [0.31, -0.62, 1.905],
    [0.283_42, -0.760_64, 2.037_06],
    [0.285_27, -0.790_84, 1.701_61],
    [0.165_885_4, -0.696_696_8, 1.821_112_2],
    [0.165_885_4, -0.696_696_8, 1.821_112_2],
];

#[test]
fn the_weights_are_pytorch_s_after_each_step() {
    let mut graph = Graph::new();
    let weights = graph.parameter("p", [3], Init::ZEROS).unwrap();
    let gradient = graph.input("g", TensorSpec::f32([3])).unwrap();
    let averaging = Some(Averaging::Lookahead { every: 2, decay: 0.8, power: 1.0, steps: 5 });
    let update = UpdateConfig { averaging, ..UpdateConfig::new("sgd:momentum=0.9,nesterov=true".parse().unwrap()) };
    let attached = update.attach(&mut graph, &HashMap::from([(weights, gradient)])).unwrap();
    let session = Session::new(&Device::reference(), 1);
    let [mut step] = session.prepare([&graph]).unwrap();
    for name in ["p", "average.p"] {
        session.set(name, &[0.5, -1.0, 2.0]).unwrap();
    }
    for (index, (gradient, wanted)) in GRADIENTS.iter().zip(&PYTORCH).enumerate() {
        for (name, values) in attached.inputs(index as u64, 0.1) {
            let input = step.input(name).unwrap();
            step.write(input, &values).unwrap();
        }
        let input = step.input("g").unwrap();
        step.write(input, gradient).unwrap();
        step.run().unwrap();
        let found = session.get("p").unwrap();
        let difference = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-6, "step {index}: {found:?} is not {wanted:?}");
    }
}

/// A short run that looks ahead, and ends within its second epoch of five steps.
fn config() -> TrainConfig {
    let mut config = TrainConfig { model: "lenet5_modern".to_owned(), ..TrainConfig::default() };
    config.data = "synthetic:1x28x28:2:40".parse().unwrap();
    (config.epochs, config.batch, config.lr) = (3, 8, 0.01);
    config.max_steps = Some("1.6epochs".parse().unwrap());
    config.average = Some("lookahead:every=3,decay=0.5".parse().unwrap());
    config
}

#[test]
fn a_run_ends_within_an_epoch_with_its_weights_at_their_average() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let outcome = Trainer::create(config(), &Device::reference(), Some(&run)).unwrap().run(&mut Silent).unwrap();
    let checkpoint = load_checkpoint(&run.join("checkpoint.safetensors")).unwrap();
    assert_eq!((checkpoint.header.progress.step, (1..=2).contains(&outcome.best_epoch)), (8, true));
    let raw =
        checkpoint.tensors.iter().filter_map(|(name, (_, data))| Some((name.strip_prefix("optimizer.raw.")?, data)));
    let mut compared = 0;
    for (name, data) in raw {
        assert_eq!(&checkpoint.tensors[name].1, data, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 10, "LeNet-5 has five weights and five biases");
    assert_eq!(std::fs::read_to_string(run.join("epochs.csv")).unwrap().lines().count(), 3, "a title and two epochs");
}
