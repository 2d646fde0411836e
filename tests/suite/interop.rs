//! Weights there and back: what PyTorch wrote is read, what is written is what was read, and frozen
//! layers stay as they came. The fixtures are made by tests/data/make.py.

use crate::common::fixture;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use tilewright::checkpoint::{Checkpoint, load_checkpoint, save_checkpoint};
use tilewright::data::Normalization;
use tilewright::graph::Graph;
use tilewright::interop::{
    Definition, Labels, StateDict, WeightsFile, export_safetensors, import, model_tensors, onnx, read_state_dict,
};
use tilewright::models::{self, ModelOptions};
use tilewright::nn::Mode;
use tilewright::recipe::TrainConfig;
use tilewright::reference::{self, Tensors};
use tilewright::session::Device;
use tilewright::tensor::{HostTensor, Shape};
use tilewright::train::{Batch, Evaluator, Silent, Trainer, training_graph};

fn reference() -> Device {
    Device::reference()
}

fn lenet5(file: &str) -> Checkpoint {
    let path = fixture(file);
    let options = ModelOptions::new().image_size(12, 12);
    let mut labels = Labels::default();
    labels.normalization = Some(Normalization { mean: vec![0.5], std: vec![0.25] });
    let weights = read_state_dict(&path).unwrap();
    import(models::find("lenet5").unwrap(), &options, weights, &path, labels).unwrap()
}

/// Smooth numbers around 0 that differ from tensor to tensor; variances are positive.
fn filled(name: &str, shape: &Shape) -> Vec<f32> {
    let phase = name.bytes().map(f32::from).sum::<f32>();
    let wave = (0..shape.elements()).map(|i| (i as f32 * 0.7 + phase).sin());
    let fan_in = shape.iter().skip(1).product::<usize>().max(1) as f32;
    match name.rsplit('.').next() {
        Some("running_var") => wave.map(|x| 1.0 + 0.5 * x).collect(),
        Some("running_mean" | "bias") => wave.map(|x| 0.1 * x).collect(),
        _ if shape.len() == 1 => wave.map(|x| 1.0 + 0.3 * x).collect(),
        _ => wave.map(|x| 2.0 * x / fan_in.sqrt()).collect(),
    }
}

fn weights_of(model: &str, options: &ModelOptions) -> StateDict {
    let tensors = model_tensors(models::find(model).unwrap(), options).unwrap();
    tensors.into_iter().map(|(name, shape)| (name.clone(), (shape.clone(), filled(&name, &shape)))).collect()
}

#[test]
fn pytorchs_weights_give_pytorchs_logits_from_both_kinds_of_file() {
    let text = fs::read_to_string(fixture("lenet5.json")).unwrap();
    let expected: BTreeMap<String, Vec<f32>> = serde_json::from_str(&text).unwrap();
    let image: Vec<u8> = (0..144).map(|i| (i * 37 % 256) as u8).collect();
    for file in ["lenet5.pth", "lenet5.safetensors"] {
        let checkpoint = lenet5(file);
        assert_eq!(checkpoint.header.classes, ["0", "1", "2"], "{file}: the head says how many classes there are");
        let device = reference();
        let batch = Batch { shape: [1, 1, 12, 12], classes: 3 };
        let mut evaluator = Evaluator::of(&checkpoint, &fixture(file), batch, &device).unwrap();
        let logits = evaluator.logits(&image, &checkpoint.header.normalization).unwrap();
        for (ours, theirs) in logits.iter().zip(&expected["logits"]) {
            assert!((ours - theirs).abs() < 1e-6, "{file}: {logits:?}, PyTorch has {:?}", expected["logits"]);
        }
    }
    assert_eq!(lenet5("lenet5.pth").tensors, lenet5("lenet5.safetensors").tensors);
}

#[test]
fn a_tensor_is_read_whatever_its_type_and_memory_order() {
    let held = read_state_dict(&fixture("odd.pth")).unwrap();
    let names: Vec<&str> = held.keys().map(String::as_str).collect();
    let expected = [
        "bias",
        "column",
        "double",
        "parameter",
        "row",
        "running_mean",
        "running_var",
        "scalar",
        "transposed",
        "weight",
    ];
    assert_eq!(names, expected, "without `module.` and without num_batches_tracked");
    let grid = |shape: &[usize], data: &[f32]| (Shape::from(shape), data.to_vec());
    let counting: Vec<f32> = (0..12).map(|x| x as f32).collect();
    let halves: Vec<f32> = counting.iter().map(|x| x / 2.0).collect();
    assert_eq!(held["transposed"], grid(&[4, 3], &[0.0, 4.0, 8.0, 1.0, 5.0, 9.0, 2.0, 6.0, 10.0, 3.0, 7.0, 11.0]));
    assert_eq!(held["column"], grid(&[3], &[1.0, 5.0, 9.0]));
    assert_eq!(held["row"], grid(&[4], &[4.0, 5.0, 6.0, 7.0]));
    assert_eq!(held["double"], grid(&[3, 4], &halves));
    assert_eq!(held["parameter"], grid(&[3, 4], &counting));
    assert_eq!(held["scalar"], grid(&[], &[1.5]));
    assert_eq!(held["running_var"], grid(&[2], &[1.0, 1.0]));
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pth");
    let whole = fs::read(fixture("odd.pth")).unwrap();
    for length in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(read_state_dict(&path).is_err(), "{length} bytes of {}", whole.len());
    }
    let mut refused = 0;
    for at in (0..whole.len()).step_by(31) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        refused += usize::from(read_state_dict(&path).is_err());
    }
    assert!(refused > 0, "checksums hold the contents");
}

#[test]
fn what_is_exported_is_what_was_imported_and_a_counter_for_each_batch_norm() {
    let folder = tempfile::tempdir().unwrap();
    let [checkpoint, out] = ["checkpoint", "out.safetensors"].map(|name| folder.path().join(name));
    let options = ModelOptions::new().num_classes(3).image_size(32, 32);
    let weights = weights_of("shufflenet_v2_x1_0", &options);
    let model = models::find("shufflenet_v2_x1_0").unwrap();
    let imported = import(model, &options, weights.clone(), &out, Labels::default()).unwrap();
    save_checkpoint(&checkpoint, &imported).unwrap();
    let mut loaded = load_checkpoint(&checkpoint).unwrap();
    loaded.header.progress.step = 7;
    loaded.tensors.insert("optimizer.m.fc.bias".to_owned(), (Shape::from([3]), vec![0.0; 3]));
    export_safetensors(&loaded, &checkpoint, &out).unwrap();
    assert_eq!(read_state_dict(&out).unwrap(), weights);

    let bytes = fs::read(&out).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let norms = weights.keys().filter(|name| name.ends_with("running_mean")).count();
    let counters: Vec<_> = file.iter().filter(|(name, _)| name.ends_with("num_batches_tracked")).collect();
    assert_eq!(counters.len(), norms);
    assert_eq!(file.len(), weights.len() + norms, "nothing else is exported");
    for (name, view) in counters {
        assert_eq!((view.dtype(), view.shape()), (safetensors::Dtype::I64, &[][..]), "{name}");
        assert_eq!(view.data(), 7i64.to_le_bytes(), "{name}");
    }
}

/// A zoo's worth of layers: what is small enough to be written and read in a moment.
const MOST_PARAMETERS: usize = 3_000_000;

#[test]
fn every_small_model_of_the_zoo_comes_back_from_files_as_the_network_that_was_exported() {
    let folder = tempfile::tempdir().unwrap();
    let [path, out] = ["checkpoint", "out.safetensors"].map(|name| folder.path().join(name));
    let options = ModelOptions::new().num_classes(3);
    let is_small = |model: &&models::Model| {
        let graph = model.graph(&options, 1, Mode::Eval).unwrap().graph;
        graph.parameter_count() < MOST_PARAMETERS
    };
    let small: Vec<&models::Model> = models::all().filter(is_small).collect();
    assert!(small.len() >= 10, "{} models", small.len());
    for model in small {
        let weights = weights_of(model.name, &options);
        let mut labels = Labels::default();
        labels.classes = Some(["cow", "ant", "bee"].map(str::to_owned).to_vec());
        let checkpoint = import(model, &options, weights.clone(), &path, labels).unwrap();
        save_checkpoint(&path, &checkpoint).unwrap();
        let checkpoint = load_checkpoint(&path).unwrap();
        let definition = Definition::of(&checkpoint.header);

        export_safetensors(&checkpoint, &path, &out).unwrap();
        let file = WeightsFile::open(&out).unwrap();
        assert_eq!(file.definition(), Some(&definition), "{}", model.name);
        let own = definition.options(&Default::default()).num_classes(definition.classes.len());
        let read = file.weights(model, &own, &BTreeSet::new(), None).unwrap();
        assert!(read.tensors == weights, "{}: the tensors differ", model.name);

        let onnx = onnx::model(&checkpoint, &path, false).unwrap();
        let entries: HashMap<String, String> =
            onnx.metadata_props.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect();
        assert_eq!(Definition::read(&entries).unwrap(), Some(definition), "{}", model.name);
        let held: BTreeSet<&str> =
            onnx.graph.iter().flat_map(|graph| &graph.initializer).map(|t| t.name.as_str()).collect();
        let lost: Vec<&String> = weights.keys().filter(|name| !held.contains(name.as_str())).collect();
        assert!(lost.is_empty(), "{}: the ONNX file lacks {lost:?}", model.name);
    }
}

#[test]
fn weights_of_another_model_are_refused_and_the_differences_named() {
    let options = ModelOptions::new().num_classes(10);
    let mut weights = weights_of("lenet5", &options);
    let refused = |weights: StateDict, options: &ModelOptions| {
        let model = models::find("lenet5").unwrap();
        import(model, options, weights, Path::new("w.pth"), Labels::default()).unwrap_err().to_string()
    };
    let message = refused(weights.clone(), &ModelOptions::new().num_classes(7));
    assert!(message.contains("`w.pth` does not suit the model `lenet5`"), "{message}");
    assert!(message.contains("`fc3.weight` is [10, 84], the model's is [7, 84]"), "{message}");
    let bias = weights.remove("conv1.bias").unwrap();
    weights.insert("conv1.offset".to_owned(), bias);
    let message = refused(weights, &options);
    assert!(message.contains("it lacks `conv1.bias`; it has what the model lacks: `conv1.offset`"), "{message}");
}

#[test]
fn folding_batch_norms_keeps_the_logits() {
    for (name, size, norms_left) in [
        ("resnet18_cifar", 8, 0),
        ("mobilenet_v2", 32, 0),
        ("shufflenet_v2_x1_0", 32, 0),
        ("googlenet_cifar", 16, 0),
        // A norm before its convolution stays: 36 of the layers, two of transitions, the last.
        ("densenet40_cifar", 8, 39),
    ] {
        let options = ModelOptions::new().num_classes(5).image_size(size, size);
        let graph = models::find(name).unwrap().graph(&options, 2, Mode::Eval).unwrap().graph;
        let folded = graph.fold_batch_norm();
        let norms = |graph: &Graph| graph.nodes().iter().filter(|node| node.op.name() == "batch_norm").count();
        assert_eq!(norms(&folded.graph), norms_left, "{name}");
        assert_eq!(folded.folds.len(), norms(&graph) - norms_left, "{name}");

        let mut weights = weights_of(name, &options);
        let run = |graph: &Graph, weights: &StateDict| -> Vec<f32> {
            let x = graph.find("x").unwrap();
            let image = filled("x", graph.shape(x));
            let inputs = Tensors::from([("x".to_owned(), HostTensor::F32(image))]);
            let state = weights.iter().map(|(name, (_, data))| (name.clone(), HostTensor::F32(data.clone())));
            reference::run(graph, &inputs, &mut state.collect())[0].f32().to_vec()
        };
        let before = run(&graph, &weights);
        folded.apply(&mut weights);
        let after = run(&folded.graph, &weights);
        let largest = before.iter().fold(0f32, |largest, x| largest.max(x.abs()));
        for (before, after) in before.iter().zip(&after) {
            assert!((before - after).abs() <= 1e-5 * largest, "{name}: {before} became {after}");
        }
        assert!(largest > 0.0 && before[0] != before[1], "{name} gives logits that tell something");
    }
}

#[test]
fn what_eval_and_predict_run_has_its_batch_norms_folded_and_gives_the_same_logits() {
    let options = ModelOptions::new().with("width", 8).num_classes(5).image_size(8, 8);
    let path = fixture("none");
    let model = models::find("resnet18_cifar").unwrap();
    let checkpoint = import(model, &options, weights_of(model.name, &options), &path, Labels::default()).unwrap();
    let batch = Batch { shape: [2, 3, 8, 8], classes: 5 };
    let images: Vec<u8> = (0..2 * 3 * 8 * 8).map(|i| (i * i * 37 % 256) as u8).collect();
    let normalization = &checkpoint.header.normalization;

    let device = reference();
    let mut folded = Evaluator::of(&checkpoint, &path, batch, &device).unwrap();
    let after = folded.logits(&images, normalization).unwrap();
    assert!(!folded.session().has("bn1.weight") && folded.session().has("conv1.bias"), "bn1 is part of conv1");

    let device = reference();
    let mut plain = Evaluator::unfolded(&checkpoint, &path, batch, &device).unwrap();
    let before = plain.logits(&images, normalization).unwrap();
    assert!(plain.session().has("bn1.weight") && !plain.session().has("conv1.bias"));

    let largest = before.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    assert!(largest > 0.0 && before[0] != before[1] && before[0] != before[5], "logits that tell something");
    for (before, after) in before.iter().zip(&after) {
        assert!((before - after).abs() <= 1e-5 * largest, "{before} became {after}");
    }
}

fn small_run(model: &str) -> TrainConfig {
    TrainConfig {
        model: model.to_owned(),
        data: "synthetic:3x8x8:3:24".parse().unwrap(),
        epochs: 2,
        batch: 8,
        ..TrainConfig::default()
    }
}

#[test]
fn frozen_layers_keep_every_bit_and_only_the_head_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let [weights, run] = ["weights.safetensors", "run"].map(|name| folder.path().join(name));
    let model = "resnext29_cifar";
    let attributes = [("groups", 1), ("width_per_group", 2)].map(|(name, value)| (name.to_owned(), value.into()));
    let options = ModelOptions::from(serde_json::Map::from_iter(attributes.clone())).num_classes(9).image_size(8, 8);
    let held = weights_of(model, &options);
    let imported = import(models::find(model).unwrap(), &options, held.clone(), &weights, Labels::default()).unwrap();
    save_checkpoint(&weights, &imported).unwrap();

    let mut config = small_run(model);
    config.attributes.extend(attributes);
    config.init = Some(weights);
    config.head = Some(3);
    config.freeze = vec!["*".to_owned()];
    let (graph, _) = training_graph(&config, Batch { shape: [8, 3, 8, 8], classes: 3 }).unwrap();
    let trained: Vec<&str> = graph.trainable().map(|value| graph.tensor(value).name.as_str()).collect();
    assert_eq!(trained, ["fc.weight", "fc.bias"]);
    let state: Vec<&str> = graph.buffers().map(|value| graph.tensor(value).name.as_str()).collect();
    assert!(state.iter().filter(|name| name.starts_with("optimizer.")).all(|name| name.contains(".fc.")), "{state:?}");
    let op = |name: &str| graph.nodes().iter().filter(|node| node.op.name() == name).count();
    // A linear layer's is a convolution's: the one is the head's.
    assert_eq!([op("conv_weight_gradient"), op("batch_norm_sums"), op("batch_statistics")], [1, 0, 0]);

    let mut trainer = Trainer::create(config.clone(), &reference(), Some(&run)).unwrap();
    trainer.run(&mut Silent).unwrap();
    let after = load_checkpoint(&run.join("checkpoint.safetensors")).unwrap();
    assert_eq!(after.header.normalization, imported.header.normalization, "that of the weights is kept");
    for (name, (shape, data)) in held.iter().filter(|(name, _)| !name.starts_with("fc.")) {
        assert_eq!(&after.tensors[name], &(shape.clone(), data.clone()), "{name}");
    }
    assert_eq!(after.tensors["fc.weight"].0[..], [3, 16]);

    config.head = None;
    let refused = |config: TrainConfig| match Trainer::create(config, &reference(), Some(&run.join("other"))) {
        Ok(_) => panic!("it was accepted"),
        Err(error) => error.to_string(),
    };
    config.freeze.clear();
    assert!(refused(config.clone()).contains("with `head = 3` the classifier's last layer starts fresh"));
    config.head = Some(4);
    assert!(refused(config.clone()).contains("`head` is 4, but must be 3"));
    config.head = Some(3);
    config.freeze = vec!["layer9".to_owned()];
    assert!(refused(config).contains("`freeze` is `layer9`, but must be a layer or parameter of resnext29_cifar"));
    let config = TrainConfig { freeze: vec!["*".to_owned()], ..small_run("resnext29_cifar") };
    assert!(refused(config).contains("left to train"));
}

#[test]
fn an_auxiliary_classifier_is_trained_with_a_third_of_the_weight_and_gone_at_inference() {
    let mut config = small_run("googlenet");
    config.attributes.insert("aux_logits".to_owned(), true.into());
    let batch = Batch { shape: [2, 3, 64, 64], classes: 3 };
    let (graph, _) = training_graph(&config, batch).unwrap();
    let trained = |name: &str| graph.trainable().any(|value| graph.tensor(value).name == name);
    assert!(trained("aux1.conv.bn.weight") && trained("aux2.fc2.bias"));
    assert!(graph.to_text().contains("Scale { factor: 0.3 }"));
    let losses = graph.nodes().iter().filter(|node| node.op.name() == "cross_entropy").count();
    assert_eq!(losses, 3);

    let evaluation = tilewright::train::evaluation_graph(&config, batch).unwrap();
    let live = evaluation.live_nodes();
    let aux = evaluation.nodes().iter().zip(live).filter(|(node, live)| *live && node.layer.starts_with("aux"));
    assert_eq!(aux.count(), 0);
}
