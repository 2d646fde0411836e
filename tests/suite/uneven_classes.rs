//! Data with many images of some classes and few of others: weights of classes in the loss, and epochs that take each
//! class equally often.

use crate::common::{Ended, tilewright};
use std::fs;
use std::path::Path;
use tempfile::{TempDir, tempdir};
use tilewright::data::{Dataset, Splits};
use tilewright::graph::{Graph, GraphError, Value};
use tilewright::ops::CrossEntropy;
use tilewright::optim::ClassWeights;
use tilewright::optim::objective::{Objective, register};
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Silent, Trainer};

/// Images 1x12x12 of noise about a grey of their class, `counts` of each.
fn noise(counts: &[usize]) -> Dataset {
    let labels: Vec<u32> = (0..).zip(counts).flat_map(|(class, &count)| vec![class; count]).collect();
    let pixel = |image: usize, at: usize| (labels[image] * 60) as u8 + ((image * 131 + at * 37) % 61) as u8;
    let images = (0..labels.len()).flat_map(|image| (0..144).map(move |at| (image, at)));
    let images = images.map(|(image, at)| pixel(image, at)).collect();
    let classes = (0..counts.len()).map(|class| format!("c{class}")).collect();
    Dataset::new("noise", [1, 12, 12], classes, images, labels).unwrap()
}

fn splits() -> Splits {
    Splits::new(noise(&[12, 3, 1]), noise(&[2, 2, 2]))
}

/// The weights after one epoch under these settings.
fn trained(change: impl Fn(&mut TrainConfig)) -> Vec<u8> {
    let folder = tempdir().unwrap();
    let mut config = TrainConfig { batch: 16, epochs: 1, lr: 0.1, ..TrainConfig::default() };
    config.optimizer = "sgd".parse().unwrap();
    change(&mut config);
    let run = folder.path().join("run");
    Trainer::on(splits(), config, &Device::reference(), Some(&run)).unwrap().run(&mut Silent).unwrap();
    fs::read(run.join("checkpoint.safetensors")).unwrap()
}

/// The largest difference of a weight between two checkpoints.
fn difference(a: &[u8], b: &[u8]) -> f32 {
    let weights = |bytes: &[u8]| -> Vec<f32> {
        let tensors = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let mut names: Vec<_> = tensors.names().into_iter().filter(|name| name.ends_with("weight")).collect();
        names.sort_unstable();
        names
            .iter()
            .flat_map(|name| bytemuck::pod_collect_to_vec::<u8, f32>(tensors.tensor(name).unwrap().data()))
            .collect()
    };
    let (a, b) = (weights(a), weights(b));
    assert!(!a.is_empty() && a.len() == b.len());
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_batch_in_parts_moves_the_weights_as_a_whole_one_under_weights_of_classes() {
    let loss = |loss: &'static str, micro_batch: Option<usize>| {
        trained(|config| {
            config.loss = loss.parse().unwrap();
            config.class_weights = Some(ClassWeights::Balanced);
            config.micro_batch = micro_batch;
        })
    };
    for name in ["cross_entropy", "focal", "mse", "mse_softmax", "nll"] {
        let whole = loss(name, None);
        let plain = trained(|config| config.loss = name.parse().unwrap());
        let moved = difference(&whole, &plain);
        let apart = difference(&whole, &loss(name, Some(4)));
        assert!(moved > 1e-4, "{name}: the weights of classes move the weights by {moved} only");
        assert!(apart < 1e-6 && apart < moved / 50.0, "{name}: parts are {apart} away, and the effect is {moved}");
    }
}

#[test]
fn a_loss_of_one_s_own_that_takes_no_weights_is_refused_beside_them() {
    struct Plain;
    impl Objective for Plain {
        fn attach(&self, graph: &mut Graph, logits: Value, labels: Value) -> Result<[Value; 2], GraphError> {
            CrossEntropy::default().attach(graph, logits, labels)
        }
    }
    register("plain", Plain);
    let loss = "plain".parse().unwrap();
    let config = TrainConfig { loss, class_weights: Some(ClassWeights::Balanced), ..TrainConfig::default() };
    let folder = tempdir().unwrap();
    let refused = Trainer::on(splits(), config, &Device::reference(), Some(&folder.path().join("run")));
    let told = refused.err().unwrap().to_string();
    assert!(told.contains("`class_weights` is balanced") && told.contains("plain"), "{told}");
}

#[test]
fn a_large_loss_is_not_pulled_towards_0() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    train(&run, &["--maximize", "--l1", "0.01"], 2).says("--maximize");
    // What is made large does not fall.
    let risen = train(&run, &["--maximize", "--epochs", "2", "--optimizer", "sgd", "--lr", "0.1"], 0).json();
    assert!(risen["test_loss"].as_f64().unwrap() > 3f64.ln(), "{risen}");
}

fn train(run: &Path, extra: &[&str], status: i32) -> Ended {
    let tiny = ["train", "lenet5", "--device", "cpu", "--data", "synthetic:1x12x12:3:20", "--batch", "8", "--json"];
    tilewright(&[&tiny[..], &["--run", run.to_str().unwrap()], extra].concat(), status)
}

/// A file of weights of the classes of synthetic data.
fn file(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("weights.csv");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_run_goes_on_with_the_weights_and_the_draws_that_it_began_with() {
    let folder = tempdir().unwrap();
    let weights = file(&folder, "class,weight\n0,0.5\n1,1\n2,4\n");
    let options = [
        "--class-weights",
        &weights,
        "--sampler",
        "balanced",
        "--flip",
        "--micro-batch",
        "4",
        "--schedule",
        "constant",
    ];
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
    train(&whole, &[&options[..], &["--epochs", "2"]].concat(), 0).says("0 0.5000, 1 1.0000, 2 4.0000");
    train(&parts, &[&options[..], &["--epochs", "1"]].concat(), 0);
    fs::remove_file(&weights).unwrap();
    let resumed = ["train", "--device", "cpu", "--resume", parts.to_str().unwrap(), "--epochs", "2"];
    tilewright(&resumed, 0).says("2 4.0000");
    for table in ["steps.csv", "epochs.csv"] {
        let without_times = |run: &Path| -> Vec<String> {
            let text = fs::read_to_string(run.join(table)).unwrap();
            text.lines().map(|line| line.split(',').take(5).collect::<Vec<_>>().join(",")).collect()
        };
        assert_eq!(without_times(&whole), without_times(&parts), "{table}");
    }
    // The configuration of a run as a recipe asks for the file again.
    let recipe = whole.join("config.toml");
    let again = ["train", "--device", "cpu", "--recipe", recipe.to_str().unwrap()];
    tilewright(&again, 2).says("weights.csv").says("balanced, effective, or a file");
}

#[test]
fn weights_of_classes_that_cannot_be_are_told_before_the_first_step() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    let short = file(&folder, "0,1\n1,1\n");
    train(&run, &["--class-weights", &short], 2).says("no weight for `2`");
    train(&run, &["--class-weights", "balaced"], 2).says("`balaced` cannot be read").says("balanced, effective");
    train(&run, &["--class-weights", "effective:beta=1"], 2)
        .says("beta is 1, but must be a number of at least 0 and below 1");
    train(&run, &["--sampler", "even"], 2).says("shuffle or balanced");
    assert!(!run.exists());
}
