//! Changes to training images, held against torchvision's pixels and against the images themselves.

use serde::Deserialize;
use std::collections::BTreeMap;
use tilewright::data::{Augmentations, Batches, Dataset, Normalization, Sampler};
use tilewright::graph::Graph;
use tilewright::ops::{Border, ChangeImages};
use tilewright::session::{Device, run_once};
use tilewright::tensor::{HostTensor, TensorSpec};

/// As `scripts/torchvision_augment.py` writes it.
#[derive(Deserialize)]
struct Torchvision {
    image: Vec<f32>,
    shape: [usize; 3],
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    op: String,
    row: Vec<f64>,
    shape: [usize; 3],
    pixels: Vec<f64>,
    border: Option<String>,
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
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn images_are_changed_as_torchvision_changes_them() {
    let truth: Torchvision = serde_json::from_str(include_str!("../data/augmentations.json")).unwrap();
    let mut largest = BTreeMap::new();
    for case in &truth.cases {
        let [channels, height, width] = truth.shape;
        let mut graph = Graph::new();
        let x = graph.input("x", TensorSpec::f32([1, channels, height, width])).unwrap();
        let draws = graph.input("draws", TensorSpec::f32([1, case.row.len()])).unwrap();
        let y = graph.apply_one(case.change(), &[x, draws]).unwrap();
        graph.output("y", y);
        let row = case.row.iter().map(|&number| number as f32).collect();
        let tensors = [("x", truth.image.clone()), ("draws", row)];
        let tensors = tensors.map(|(name, values)| (name.to_owned(), HostTensor::F32(values)));
        let (outputs, _) = run_once(&Device::reference(), &graph, &tensors.into()).unwrap();
        let pixels = outputs[0].f32();
        assert_eq!(pixels.len(), case.pixels.len());
        let error = pixels.iter().zip(&case.pixels).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        let largest: &mut f64 = largest.entry(&case.op).or_default();
        *largest = largest.max(error);
    }
    // Pixels go up to 255; torchvision has the corners of an affine map in float32.
    for (op, error) in &largest {
        assert!(*error < 2e-4, "{op}: {error:e}");
    }
    assert_eq!(largest.len(), 4);
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
        let packed = batch.pack(index);
        let rows = batch.indices(index);
        let bytes: Vec<u8> = packed.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        for (row, &image) in bytes.chunks_exact(32).zip(rows) {
            assert_eq!((&row[..30], &row[30..]), (images.image(image as usize), &[0, 0][..]));
        }
        assert_eq!(packed.labels, rows.iter().map(|&image| images.labels[image as usize]).collect::<Vec<_>>());
        let lengths: Vec<usize> = packed.draws.iter().map(Vec::len).collect();
        assert_eq!(lengths, [3 * rows.len(), 3 * rows.len(), 4 * rows.len()]);
        assert_eq!(packed.normalization.len(), 4);
        assert_eq!(packed, batch.pack(index), "a pass can be gone through again");
    }
}

#[test]
fn an_image_that_comes_twice_in_an_epoch_is_changed_in_two_ways() {
    let images = images();
    let changes: Augmentations = "rotation".parse().unwrap();
    let batches = Batches::new(&images, 7, &Normalization::of(&images)).unwrap().augmented(&changes).unwrap();
    let batches = batches.sampled(Sampler::Balanced, 1, 0);
    let packed = batches.pack(0);
    let rows = packed.draws[0].chunks_exact(6).map(|row| row.iter().map(|number| number.to_bits()).collect::<Vec<_>>());
    assert_eq!(rows.collect::<std::collections::BTreeSet<_>>().len(), 7);
    let seen: std::collections::BTreeSet<u32> = batches.indices(0).iter().copied().collect();
    assert!(seen.len() < 7, "{seen:?}");
}
