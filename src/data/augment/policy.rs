//! Changes that are drawn from a list of fourteen, as torchvision has it: RandAugment (Cubuk et al. 2020) and TrivialAugment
//! (Müller and Hutter 2021), the wide one. Bilinear where an image is moved, as in torchvision's training script.

use super::{Augment, Change, Draw, Form, Stage, affine, tone};
use crate::attribute::{Attribute, Listing, Takes};
use crate::ops::{ChangeImages, Colour};

/// Magnitudes, from the least to the greatest.
const BINS: u64 = 31;

static OF_RAND_AUGMENT: [Attribute; 3] = [
    Attribute::new("num_ops", Takes::Count(2, [1, 14]), "changes of an image, one after the other"),
    Attribute::new("magnitude", Takes::Count(9, [0, BINS - 1]), "how strong they are, from 0 to 30"),
    affine::FILL,
];
static OF_TRIVIAL_AUGMENT: [Attribute; 1] = [affine::FILL];

pub(super) static RAND_AUGMENT: Form = Form {
    listing: Listing::new(
        "rand_augment",
        &OF_RAND_AUGMENT,
        "changed by `num_ops` of fourteen changes, all of one magnitude (Cubuk et al. 2020)",
    ),
    stage: Stage::Bytes,
    read: |values| {
        let (count, magnitude) = (values.count("num_ops") as usize, Some(values.count("magnitude")));
        Ok(Change::image(Policy { is_wide: false, count, magnitude, fill: affine::fill(values)? }))
    },
};

pub(super) static TRIVIAL_AUGMENT: Form = Form {
    listing: Listing::new(
        "trivial_augment",
        &OF_TRIVIAL_AUGMENT,
        "changed by one of fourteen changes, of a magnitude that is drawn (Müller and Hutter 2021, the wide one)",
    ),
    stage: Stage::Bytes,
    read: |values| Ok(Change::image(Policy { is_wide: true, count: 1, magnitude: None, fill: affine::fill(values)? })),
};

struct Policy {
    is_wide: bool,
    /// Changes of an image.
    count: usize,
    /// Which of the [`BINS`], or any.
    magnitude: Option<u64>,
    fill: f64,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Tone(Colour),
}

/// In torchvision's order.
const OPERATIONS: [Operation; 14] = [
    Operation::Identity,
    Operation::ShearX,
    Operation::ShearY,
    Operation::TranslateX,
    Operation::TranslateY,
    Operation::Rotate,
    Operation::Tone(Colour::Brightness),
    Operation::Tone(Colour::Saturation),
    Operation::Tone(Colour::Contrast),
    Operation::Tone(Colour::Sharpness),
    Operation::Tone(Colour::Posterize),
    Operation::Tone(Colour::Solarize),
    Operation::Tone(Colour::Autocontrast),
    Operation::Tone(Colour::Equalize),
];

/// Numbers of [`ChangeImages::Affine`], which come first.
const MAP: usize = 7;

impl Policy {
    /// The magnitude of `operation` at a share of the way from the least to the greatest, and whether its sign is drawn.
    fn magnitude(&self, operation: Operation, share: f64, [height, width]: [usize; 2]) -> (f64, bool) {
        let of = |narrow: f64, wide: f64| (share * if self.is_wide { wide } else { narrow }, true);
        match operation {
            Operation::ShearX | Operation::ShearY => of(0.3, 0.99),
            Operation::TranslateX => of(150.0 / 331.0 * width as f64, 32.0),
            Operation::TranslateY => of(150.0 / 331.0 * height as f64, 32.0),
            Operation::Rotate => of(30.0, 135.0),
            Operation::Tone(Colour::Posterize) => (8.0 - of(4.0, 6.0).0.round_ties_even(), false),
            Operation::Tone(Colour::Solarize) => (255.0 * (1.0 - share), false),
            Operation::Tone(Colour::Autocontrast | Colour::Equalize) | Operation::Identity => (0.0, false),
            Operation::Tone(_) => of(0.9, 0.99),
        }
    }

    /// The rows of an affine map and of a change of colours, of which one changes nothing.
    fn write(&self, operation: Operation, magnitude: f64, [height, width]: [usize; 2], row: &mut [f32]) {
        let (map, tone) = row.split_at_mut(MAP);
        affine::write(map, affine::inverse(0.0, [0.0; 2], 1.0, 0.0), self.fill);
        tone.copy_from_slice(&Colour::Same.row(0.0));
        let mut moved = |inverse| affine::write(map, inverse, self.fill);
        match operation {
            Operation::Identity => {}
            // About the corner, as in the paper's program.
            Operation::ShearX => moved([1.0, magnitude, magnitude * height as f64 / 2.0, 0.0, 1.0, 0.0]),
            Operation::ShearY => moved([1.0, 0.0, 0.0, magnitude, 1.0, magnitude * width as f64 / 2.0]),
            Operation::TranslateX => moved(affine::inverse(0.0, [magnitude.trunc(), 0.0], 1.0, 0.0)),
            Operation::TranslateY => moved(affine::inverse(0.0, [0.0, magnitude.trunc()], 1.0, 0.0)),
            Operation::Rotate => moved(affine::inverse(-magnitude, [0.0; 2], 1.0, 0.0)),
            Operation::Tone(colour) => {
                let is_factor = !matches!(colour, Colour::Posterize | Colour::Solarize);
                tone.copy_from_slice(&colour.row(if is_factor { 1.0 + magnitude } else { magnitude }));
            }
        }
    }
}

impl Augment for Policy {
    fn changes(&self, shape: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        tone::coloured(shape)?;
        Ok([ChangeImages::Affine, ChangeImages::Colour].repeat(self.count))
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        for row in row.chunks_exact_mut(MAP + 2) {
            let operation = OPERATIONS[place.random.below(OPERATIONS.len())];
            let drawn = place.random.below(BINS as usize) as u64;
            let share = self.magnitude.unwrap_or(drawn) as f64 / (BINS - 1) as f64;
            let (magnitude, is_signed) = self.magnitude(operation, share, place.size);
            let is_turned = is_signed && place.is_likely(0.5);
            self.write(operation, if is_turned { -magnitude } else { magnitude }, place.size, row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::session::{Device, run_once};
    use crate::tensor::{HostTensor, TensorSpec};
    use serde::Deserialize;

    /// As `scripts/torchvision_augment.py` writes it.
    #[derive(Deserialize)]
    struct Torchvision {
        image: Vec<f32>,
        shape: [usize; 3],
        policies: Vec<Case>,
        /// By name: magnitude 0, 15 and 30 of `RandAugment` and of `TrivialAugmentWide`, and whether the sign is drawn.
        magnitudes: std::collections::BTreeMap<String, [([f64; 3], bool); 2]>,
    }

    #[derive(Deserialize)]
    struct Case {
        operation: String,
        magnitude: f64,
        pixels: Vec<f64>,
    }

    fn torchvision() -> Torchvision {
        serde_json::from_str(include_str!("../../../tests/data/augmentations.json")).unwrap()
    }

    /// By torchvision's name, which calls saturation colour.
    fn operation(name: &str) -> Operation {
        let found = OPERATIONS.into_iter().find(|operation| match operation {
            Operation::Tone(Colour::Saturation) => name == "Color",
            Operation::Tone(colour) => format!("{colour:?}").eq_ignore_ascii_case(name),
            other => format!("{other:?}") == name,
        });
        found.unwrap_or_else(|| panic!("no operation {name}"))
    }

    fn policy(is_wide: bool) -> Policy {
        Policy { is_wide, count: 1, magnitude: None, fill: 7.0 }
    }

    #[test]
    fn each_operation_has_the_pixels_of_torchvision() {
        let Torchvision { image, shape, policies, .. } = torchvision();
        let mut largest = std::collections::BTreeMap::<String, f64>::new();
        for case in policies {
            let mut row = [0.0; MAP + 2];
            policy(true).write(operation(&case.operation), case.magnitude, [shape[1], shape[2]], &mut row);
            let mut graph = Graph::new();
            let mut x = graph.input("x", TensorSpec::f32([1, shape[0], shape[1], shape[2]])).unwrap();
            let mut tensors = vec![("x".to_owned(), HostTensor::F32(image.clone()))];
            let (map, tone) = row.split_at(MAP);
            for (name, change, row) in [("map", ChangeImages::Affine, map), ("tone", ChangeImages::Colour, tone)] {
                let draws = graph.input(name, TensorSpec::f32([1, row.len()])).unwrap();
                x = graph.apply_one(change, &[x, draws]).unwrap();
                tensors.push((name.to_owned(), HostTensor::F32(row.to_vec())));
            }
            graph.output("y", x);
            let (outputs, _) = run_once(&Device::reference(), &graph, &tensors.into_iter().collect()).unwrap();
            let pixels = outputs[0].f32().iter().zip(&case.pixels);
            let error = pixels.map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            let largest = largest.entry(case.operation).or_default();
            *largest = largest.max(error);
        }
        assert_eq!(largest.len(), OPERATIONS.len());
        // White is 255; torchvision has the corners of an affine map in float32.
        for (operation, error) in &largest {
            assert!(*error < 2e-4, "{operation}: {error:e}");
        }
    }

    #[test]
    fn magnitudes_are_those_of_torchvision() {
        let Torchvision { shape, magnitudes, .. } = torchvision();
        assert_eq!(magnitudes.len(), OPERATIONS.len());
        for (name, both) in magnitudes {
            for (is_wide, (expected, is_signed)) in [false, true].into_iter().zip(both) {
                for (share, expected) in [0.0, 0.5, 1.0].into_iter().zip(expected) {
                    let found = policy(is_wide).magnitude(operation(&name), share, [shape[1], shape[2]]);
                    assert!((found.0 - expected).abs() < 1e-5 && found.1 == is_signed, "{name}: {found:?}, {expected}");
                }
            }
        }
    }

    #[test]
    fn every_operation_is_drawn_alike_often_and_to_both_sides() {
        let size = [32, 32];
        let mut counts = std::collections::BTreeMap::<String, usize>::new();
        for key in 0..2800 {
            let random = crate::random::SplitMix64::keyed(&[key]);
            let mut draw = Draw { of_image: random.clone(), random, size, epoch: 0 };
            let mut row = [0.0; MAP + 2];
            policy(true).draw(&mut draw, &mut row);
            let is_moved = row[..6] != [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
            assert!(!is_moved || row[MAP..] == Colour::Same.row(0.0), "one of both: {row:?}");
            let kind = if is_moved { "moved".to_owned() } else { format!("{}", row[MAP]) };
            *counts.entry(kind).or_default() += 1;
            assert_eq!(row[6], 7.0);
        }
        // Five of fourteen move an image, but for a magnitude of 0; eight change its colours.
        assert!((850..1050).contains(&counts["moved"]), "{counts:?}");
        assert_eq!(counts.len(), 10, "{counts:?}");
        for (kind, count) in counts.iter().filter(|(kind, _)| kind.as_str() != "moved" && kind.as_str() != "0") {
            assert!((150..250).contains(count), "{kind}: {counts:?}");
        }
    }
}
