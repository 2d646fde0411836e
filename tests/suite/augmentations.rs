//! Changes to training images, held against torchvision's pixels and against the images themselves.

use crate::common::tilewright;
use serde::Deserialize;
use std::collections::BTreeMap;
use tilewright::data::{Augmentations, Batches, Dataset, Normalization, Sampler};
use tilewright::graph::{Graph, Op};
use tilewright::ops::{Border, ChangeImages, Colour, MixImages, SoftCrossEntropy};
use tilewright::optim::ClassWeights;
use tilewright::recipe::TrainConfig;
use tilewright::session::{Device, Session, run_once};
use tilewright::tensor::{HostTensor, TensorSpec};
use tilewright::train::{Batch, Silent, Trainer, training_graph};

/// As `scripts/torchvision_augment.py` writes it.
#[derive(Deserialize)]
struct Torchvision {
    image: Vec<f32>,
    shape: [usize; 3],
    cases: Vec<Case>,
    /// Three images.
    batch: Vec<f32>,
    mixtures: Vec<Mixed>,
    equalized: Equalized,
}

/// Of more pixels than there are levels.
#[derive(Deserialize)]
struct Equalized {
    image: Vec<f32>,
    shape: [usize; 3],
    pixels: Vec<f64>,
}

#[derive(Deserialize)]
struct Mixed {
    row: Vec<f32>,
    /// Of each image itself.
    share: f64,
    pixels: Vec<f64>,
    /// Probabilities of the classes 0, 1 and 2, which are the labels of the images.
    targets: [[f64; 3]; 3],
}

#[derive(Deserialize)]
struct Case {
    op: String,
    row: Vec<f64>,
    shape: [usize; 3],
    pixels: Vec<f64>,
    border: Option<String>,
    /// Of a blur.
    size: Option<usize>,
    /// Of a change of colours, whose row is its amount.
    colour: Option<String>,
}

impl Case {
    fn change(&self) -> ChangeImages {
        match (self.op.as_str(), self.border.as_deref()) {
            ("crop", Some("zero")) => ChangeImages::Crop(Border::Zero),
            ("crop", Some("reflect")) => ChangeImages::Crop(Border::Reflect),
            ("crop", Some("edge")) => ChangeImages::Crop(Border::Edge),
            ("resized_crop", None) => ChangeImages::ResizedCrop([self.shape[1], self.shape[2]]),
            ("affine", None) => ChangeImages::Affine,
            ("erase", None) => ChangeImages::Erase,
            ("blur", None) => ChangeImages::Blur(self.size.unwrap()),
            ("colour", None) => ChangeImages::Colour,
            other => panic!("{other:?}"),
        }
    }
}

fn torchvision() -> Torchvision {
    serde_json::from_str(include_str!("../data/augmentations.json")).unwrap()
}

/// What `op` makes of x and of the second input, on the reference.
fn applied(op: impl Op, [x_shape, row_shape]: [&[usize]; 2], x: &[f32], row: &[f32]) -> Vec<f32> {
    let mut graph = Graph::new();
    let x_value = graph.input("x", TensorSpec::f32(x_shape)).unwrap();
    let row_value = graph.input("row", TensorSpec::f32(row_shape)).unwrap();
    let y = graph.apply_one(op, &[x_value, row_value]).unwrap();
    graph.output("y", y);
    let tensors = [("x", x), ("row", row)].map(|(name, values)| (name.to_owned(), HostTensor::F32(values.to_vec())));
    let (outputs, _) = run_once(&Device::reference(), &graph, &tensors.into()).unwrap();
    outputs[0].f32().to_vec()
}

fn largest_error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

#[test]
fn images_are_mixed_as_torchvision_mixes_them() {
    let truth = torchvision();
    let [channels, height, width] = truth.shape;
    assert_eq!(truth.mixtures.len(), 4);
    for Mixed { row, share, pixels, targets } in truth.mixtures {
        let found = applied(MixImages, [&[3, channels, height, width], &[5]], &truth.batch, &row);
        // Pixels go up to 255.
        assert!(largest_error(&found, &pixels) < 2e-5, "{row:?}");
        for (image, target) in targets.iter().enumerate() {
            let before = (image + 2) % 3;
            assert!((target[image] - share).abs() < 1e-6 && (target[before] - (1.0 - share)).abs() < 1e-6);
        }
    }
}

/// A run of one step on mixed images: its loss, and what cross-entropy of soft targets says of its logits.
#[test]
fn the_loss_of_mixed_images_is_that_of_soft_targets() {
    let config = TrainConfig {
        augment: Some("flip,mixup,cutmix".parse().unwrap()),
        label_smoothing: 0.1,
        ..TrainConfig::default()
    };
    let (mut graph, _) = training_graph(&config, Batch { shape: [3, 1, 12, 12], classes: 4 }).unwrap();
    let losses: Vec<_> = graph.nodes().iter().filter(|node| node.op.name() == "cross_entropy").cloned().collect();
    let [own, other] = &losses[..] else { panic!("one for each label") };
    assert_eq!(own.inputs[0], other.inputs[0]);
    graph.output("logits", own.inputs[0]);
    let words = (0..108u32).map(|at| at.wrapping_mul(2_654_435_761)).collect();
    let session = Session::new(&Device::reference(), 1);
    let [mut program] = session.prepare([&graph]).unwrap();
    let mut write = |name: &str, data: HostTensor| match data {
        HostTensor::U32(data) => program.write(program.input(name).unwrap(), &data).unwrap(),
        HostTensor::F32(data) => program.write(program.input(name).unwrap(), &data).unwrap(),
    };
    write("images", HostTensor::U32(words));
    write("normalization", HostTensor::F32(vec![0.5, 0.25]));
    write("labels", HostTensor::U32(vec![0, 3, 1]));
    write("other_labels", HostTensor::U32(vec![1, 0, 3]));
    write("share", HostTensor::F32(vec![0.75]));
    write("other_share", HostTensor::F32(vec![0.25]));
    program.run().unwrap();
    let of = |name| program.read(program.output(name).unwrap()).unwrap().wait().unwrap().f32().to_vec();
    let targets = [[0.75, 0.25, 0.0, 0.0], [0.25, 0.0, 0.0, 0.75], [0.0, 0.75, 0.0, 0.25]];
    let soft = SoftCrossEntropy { label_smoothing: 0.1 };
    let expected = applied(soft, [&[3, 4], &[3, 4]], &of("logits"), targets.as_flattened())[0];
    let found = of("metrics")[0];
    assert!((found - expected).abs() < 1e-6 * expected, "{found} is not {expected}");
}

#[test]
fn every_loss_trains_on_mixed_images_also_in_parts_and_with_weights_of_classes() {
    for loss in ["cross_entropy", "focal", "mse", "mse_softmax", "nll"] {
        let trained = |augment: &str, micro_batch| {
            let folder = tempfile::tempdir().unwrap();
            let run = folder.path().join("run");
            let mut config = TrainConfig { batch: 8, epochs: 1, micro_batch, ..TrainConfig::default() };
            config.data = "synthetic:1x12x12:3:20".parse().unwrap();
            config.augment = Some(augment.parse().unwrap());
            config.loss = loss.parse().unwrap();
            config.class_weights = Some(ClassWeights::Balanced);
            Trainer::create(config, &Device::reference(), Some(&run)).unwrap().run(&mut Silent).unwrap();
            assert_ne!(run.join("augment.png").exists(), augment.is_empty(), "a picture of what is changed");
            let checkpoint = std::fs::read(run.join("checkpoint.safetensors")).unwrap();
            let tensors = safetensors::SafeTensors::deserialize(&checkpoint).unwrap();
            bytemuck::pod_collect_to_vec::<u8, f32>(tensors.tensor("fc3.weight").unwrap().data())
        };
        for parts in [None, Some(4)] {
            let mixed = trained("mixup:alpha=1,cutmix", parts);
            assert!(mixed.iter().all(|weight| weight.is_finite()));
            assert_eq!(mixed, trained("mixup:alpha=1,cutmix", parts), "{loss}: the same draws");
            assert_ne!(mixed, trained("", parts), "{loss}: images that are mixed");
            // All images by themselves.
            assert_eq!(trained("mixup:p=0", parts), trained("", parts), "{loss}");
        }
    }
}

#[test]
fn images_are_changed_as_torchvision_changes_them() {
    let truth = torchvision();
    let mut largest = BTreeMap::new();
    for case in &truth.cases {
        let [channels, height, width] = truth.shape;
        let mut row: Vec<f32> = case.row.iter().map(|&number| number as f32).collect();
        if let Some(name) = &case.colour {
            let colour = Colour::all().find(|colour| format!("{colour:?}").eq_ignore_ascii_case(name)).unwrap();
            row = colour.row(case.row[0]).to_vec();
        }
        let pixels = applied(case.change(), [&[1, channels, height, width], &[1, row.len()]], &truth.image, &row);
        let error = largest_error(&pixels, &case.pixels);
        let largest: &mut f64 = largest.entry(case.colour.as_ref().unwrap_or(&case.op)).or_default();
        *largest = largest.max(error);
    }
    // Pixels go up to 255; torchvision has the corners of an affine map in float32.
    for (op, error) in &largest {
        assert!(*error < 2e-4, "{op}: {error:e}");
    }
    assert_eq!(largest.len(), 4 + 1 + 11);
}

#[test]
fn levels_are_equalized_as_torchvision_equalizes_them() {
    let Equalized { image, shape: [channels, height, width], pixels } = torchvision().equalized;
    let shapes: [&[usize]; 2] = [&[1, channels, height, width], &[1, 2]];
    let found = applied(ChangeImages::Colour, shapes, &image, &Colour::Equalize.row(0.0));
    assert_eq!(found.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), pixels);
    let moved = found.iter().zip(&image).filter(|(a, b)| a != b).count();
    assert!(moved > image.len() / 2, "{moved} of {}", image.len());
}

#[test]
fn a_picture_shows_images_as_they_are_and_as_each_epoch_changes_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("grid.png");
    let asked = ["augment", "mnist", "--device", "cpu", "--images", "2", "--draws", "1", "--json"];
    let asked = [&asked[..], &["--out", out.to_str().unwrap()]].concat();
    let told = tilewright(&[&asked[..], &["--augment", "invert:p=1"]].concat(), 0).json();
    assert_eq!((&told["images"], &told["epochs"], &told["augment"]), (&2.into(), &1.into(), &"invert:p=1".into()));
    let picture = image::open(&out).unwrap().to_luma8();
    // 28 pixels, drawn out twofold.
    assert_eq!(picture.dimensions(), (56 + 10 + 56, 56 + 2 + 56));
    for (x, y) in (0..56).flat_map(|x| (0..56).chain(58..114).map(move |y| (x, y))) {
        let [seen, inverted] = [x, x + 66].map(|x| picture.get_pixel(x, y).0[0]);
        assert_eq!(seen, 255 - inverted, "({x}, {y})");
    }
    assert!(picture.pixels().any(|pixel| pixel.0[0] < 255));
    let recipe = folder.path().join("recipe.toml");
    std::fs::write(&recipe, "model = 'lenet5'\nsize = '14x12'\nlimit = 1\naugment = 'flip:p=0'\n").unwrap();
    let told = tilewright(&[&asked[..], &["--recipe", recipe.to_str().unwrap()]].concat(), 0).json();
    assert_eq!(
        (&told["images"], &told["augment"]),
        (&1.into(), &"flip:p=0,alternating=false".into()),
        "as its run has them"
    );
    assert_eq!(image::open(&out).unwrap().to_luma8().dimensions(), (60 + 10 + 60, 70));
    tilewright(&[&asked[..], &["--augment", "inverted"]].concat(), 2).says("known are crop, flip");
    tilewright(&[&asked[..], &["--augment", "crop:padding=28,border=reflect"]].concat(), 2).says("a padding below 28");
}

fn images() -> Dataset {
    let bytes = (0..7 * 2 * 15).map(|at| (at * 31 % 251) as u8).collect();
    let classes = vec!["a".into(), "b".into()];
    Dataset::new("here", [2, 3, 5], classes, bytes, vec![0, 0, 0, 0, 1, 0, 1]).unwrap()
}

#[test]
fn a_packed_batch_has_the_bytes_and_labels_of_its_images_and_a_row_for_each_change() {
    let images = images();
    let changes: Augmentations = "crop:padding=1,flip,erase".parse().unwrap();
    let batches = Batches::new(&images, 3, &Normalization::of(&images)).unwrap().augmented(&changes).unwrap();
    let batch = batches.shuffled(1, 0);
    for index in 0..3 {
        let packed = batch.pack(index).unwrap();
        let rows = batch.indices(index);
        let bytes: Vec<u8> = packed.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        for (row, &image) in bytes.chunks_exact(32).zip(rows) {
            assert_eq!((&row[..30], &row[30..]), (&images.image(image as usize).unwrap()[..], &[0, 0][..]));
        }
        assert_eq!(packed.labels, rows.iter().map(|&image| images.labels[image as usize]).collect::<Vec<_>>());
        let lengths: Vec<usize> = packed.draws.iter().map(Vec::len).collect();
        assert_eq!(lengths, [3 * rows.len(), 3 * rows.len(), 4 * rows.len()]);
        assert_eq!(packed.normalization.len(), 4);
        assert_eq!(packed, batch.pack(index).unwrap(), "a pass can be gone through again");
    }
}

#[test]
fn an_image_that_comes_twice_in_an_epoch_is_changed_in_two_ways() {
    let images = images();
    let changes: Augmentations = "rotation".parse().unwrap();
    let batches = Batches::new(&images, 7, &Normalization::of(&images)).unwrap().augmented(&changes).unwrap();
    let batches = batches.sampled(Sampler::Balanced, 1, 0);
    let packed = batches.pack(0).unwrap();
    let rows = packed.draws[0].chunks_exact(7).map(|row| row.iter().map(|number| number.to_bits()).collect::<Vec<_>>());
    assert_eq!(rows.collect::<std::collections::BTreeSet<_>>().len(), 7);
    let seen: std::collections::BTreeSet<u32> = batches.indices(0).iter().copied().collect();
    assert!(seen.len() < 7, "{seen:?}");
}
