//! The card of ops that make training images.

use super::{Border, ChangeImages, Colour, MixImages, NormalizeImages, UnpackImages};
use crate::graph::Graph;
use crate::ops::card::{Card, Case, Chapter, Entry, NO_GRADIENT, Prepared};
use crate::random::splitmix64;
use crate::tensor::{HostTensor, TensorSpec, Tensors};

pub(crate) static CARD: Card = Card::new(
    Chapter::Images,
    &[
        Entry {
            name: "unpack_images",
            computes: "bytes of images, as floats from 0 to 255",
            shapes: "words of four bytes [N, ceil(C H W / 4)] of u32; y [N, C, H, W]",
            gradient: NO_GRADIENT,
            shaders: &["images/unpack"],
            flops: "0",
        },
        Entry {
            name: "crop_images",
            computes: "x[n, c, i + top, j + left], mirrored where n's row says so; zeros, its edge or its mirror image around it",
            shapes: "x [N, C, H, W] and rows (top, left, mirrored) [N, 3]; y as x",
            gradient: NO_GRADIENT,
            shaders: &["images/crop"],
            flops: "0",
        },
        Entry {
            name: "resized_crop_images",
            computes: "a box of each image, resized bilinearly, with a wider reach where it shrinks",
            shapes: "x [N, C, H, W] and rows (top, left, height, width) [N, 4]; y [N, C, OH, OW]",
            gradient: NO_GRADIENT,
            shaders: &["images/resized_crop"],
            flops: "0",
        },
        Entry {
            name: "affine_images",
            computes: "x at the place that n's map takes each place to, bilinearly, and n's fill around it",
            shapes: "x [N, C, H, W] and rows (a, b, c, d, e, f, fill) [N, 7]; y as x",
            gradient: NO_GRADIENT,
            shaders: &["images/affine"],
            flops: "0",
        },
        Entry {
            name: "erase_images",
            computes: "0 within a box of each image, x elsewhere",
            shapes: "x [N, C, H, W] and rows (top, left, height, width) [N, 4]; y as x",
            gradient: NO_GRADIENT,
            shaders: &["images/erase"],
            flops: "0",
        },
        Entry {
            name: "blur_images",
            computes: "x, blurred by a Gaussian of n's deviation, or x where that is 0; its mirror image around it",
            shapes: "x [N, C, H, W] and rows (sigma) [N, 1]; y as x",
            gradient: NO_GRADIENT,
            shaders: &["images/blur"],
            flops: "0",
        },
        Entry {
            name: "colour_images",
            computes: "x in other colours: brighter, of more contrast, saturation or sharpness, another hue, grey, inverted, \
                       posterized, solarized, drawn out or equalized, as n's row says",
            shapes: "x [N, C, H, W], C 1 or 3, from 0 to 255, and rows (change, amount) [N, 2]; y as x",
            gradient: NO_GRADIENT,
            shaders: &["images/colour_table", "images/colour"],
            flops: "0",
        },
        Entry {
            name: "normalize_images",
            computes: "(x / 255 - mean[c]) / std[c]",
            shapes: "x [N, C, H, W] and rows (mean, std) [C, 2]; y as x",
            gradient: NO_GRADIENT,
            shaders: &["images/normalize"],
            flops: "3 elements of y",
        },
        Entry {
            name: "mix_images",
            computes: "s x[n] + (1 - s) x[n - 1] within a box, x[n] elsewhere",
            shapes: "x [N, C, H, W] and (top, left, height, width, s) [5]; y as x",
            gradient: NO_GRADIENT,
            shaders: &["images/mix"],
            flops: "3 elements of y",
        },
    ],
)
.cases(cases);

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [[3, 1, 5, 7], [2, 3, 4, 4], [5, 3, 1, 1], [2, 3, 33, 18]].map(unpack).into();
    let all = [
        ChangeImages::Crop(Border::Zero),
        ChangeImages::Crop(Border::Reflect),
        ChangeImages::Crop(Border::Edge),
        ChangeImages::ResizedCrop([7, 9]),
        ChangeImages::ResizedCrop([40, 30]),
        ChangeImages::Affine,
        ChangeImages::Erase,
        ChangeImages::Blur(3),
        ChangeImages::Blur(13),
    ];
    for change in all {
        cases.extend(
            [[5, 1, 7, 7], [4, 3, 9, 14], [6, 3, 12, 8], [4, 1, 700, 1025]].map(|shape| changed(change, shape)),
        );
    }
    cases.extend([[14, 1, 7, 8], [14, 3, 12, 9], [14, 3, 41, 37], [14, 1, 1, 2]].map(coloured));
    cases.extend([[2, 1, 5, 7], [3, 3, 6, 5]].map(normalized));
    for shape in [[4, 3, 9, 14], [1, 2, 5, 7], [4, 3, 700, 1025]] {
        cases.extend(MIXTURES.map(|prepare| mixed(shape, prepare)));
    }
    cases
}

fn unpack(shape: [usize; 4]) -> Case {
    let [n, channels, height, width] = shape;
    let op = UnpackImages { shape: [channels, height, width] };
    Case::new("unpack_images", format!("images {shape:?}"), move |graph: &mut Graph| {
        let words = UnpackImages::words(channels * height * width);
        let bytes = graph.input("bytes", TensorSpec::u32([n, words]))?;
        let x = graph.apply_one(op, &[bytes])?;
        graph.output("x", x);
        Ok(())
    })
    .prepare(|tensors| {
        for tensor in tensors.values_mut() {
            if let HostTensor::U32(words) = tensor {
                (0..).zip(words).for_each(|(index, word)| *word = splitmix64(index) as u32);
            }
        }
    })
    .tolerance(0.0, 0.0)
}

fn changed(change: ChangeImages, shape: [usize; 4]) -> Case {
    let name = crate::graph::Op::name(&change);
    let what = match change {
        ChangeImages::Crop(border) => format!(", {border:?}"),
        ChangeImages::ResizedCrop([height, width]) => format!(", to {height}x{width}"),
        ChangeImages::Blur(size) => format!(", by {size} pixels"),
        ChangeImages::Affine | ChangeImages::Erase | ChangeImages::Colour => String::new(),
    };
    let prepare = match change {
        ChangeImages::Crop(_) => crops,
        ChangeImages::ResizedCrop(_) => boxes_within,
        ChangeImages::Affine => maps,
        ChangeImages::Erase => boxes_anywhere,
        ChangeImages::Blur(_) => deviations,
        ChangeImages::Colour => colours,
    };
    // A place in an image is rounded to a share of its size, and two neighbours here differ by as much as any two pixels.
    let tolerance = if change == ChangeImages::Affine { 1e-5f64.max(4e-7 * shape[3] as f64) } else { 1e-5 };
    Case::new(name, format!("x {shape:?}{what}"), move |graph: &mut Graph| {
        let x = graph.input("x", TensorSpec::f32(shape))?;
        let draws = graph.input("draws", TensorSpec::f32([shape[0], change.columns()]))?;
        let y = graph.apply_one(change, &[x, draws])?;
        graph.output("y", y);
        Ok(())
    })
    .prepare(prepare)
    .tolerance(tolerance, 1e-6)
}

fn coloured(shape: [usize; 4]) -> Case {
    changed(ChangeImages::Colour, shape)
}

fn normalized(shape: [usize; 4]) -> Case {
    Case::new("normalize_images", format!("x {shape:?}"), move |graph: &mut Graph| {
        let x = graph.input("x", TensorSpec::f32(shape))?;
        let numbers = graph.input("numbers", TensorSpec::f32([shape[1], 2]))?;
        let y = graph.apply_one(NormalizeImages, &[x, numbers])?;
        graph.output("y", y);
        Ok(())
    })
    .prepare(|tensors| {
        rows(tensors, "numbers", 2, |row, at| row.copy_from_slice(&[0.3 + 0.1 * at as f32, 0.2 + 0.05 * at as f32]));
    })
}

fn mixed(shape: [usize; 4], (what, prepare): Prepared) -> Case {
    Case::new("mix_images", format!("x {shape:?}, {what}"), move |graph: &mut Graph| {
        let x = graph.input("x", TensorSpec::f32(shape))?;
        let numbers = graph.input("numbers", TensorSpec::f32([MixImages::NUMBERS]))?;
        let y = graph.apply_one(MixImages, &[x, numbers])?;
        graph.output("y", y);
        Ok(())
    })
    .prepare(prepare)
}

const MIXTURES: [Prepared; 3] = [
    ("all blended", |tensors| mixture(tensors, [0.0, 0.0, 2000.0, 2000.0, 0.3])),
    ("a box", |tensors| mixture(tensors, [1.0, 2.0, 3.0, 4.0, 0.0])),
    ("none", |tensors| mixture(tensors, [0.0; MixImages::NUMBERS])),
];

fn mixture(tensors: &mut Tensors, numbers: [f32; MixImages::NUMBERS]) {
    rows(tensors, "numbers", MixImages::NUMBERS, |row, _| row.copy_from_slice(&numbers));
}

/// Sets each row of a tensor of `columns`.
fn rows(tensors: &mut Tensors, name: &str, columns: usize, set: impl Fn(&mut [f32], usize)) {
    let draws = tensors.get_mut(name).map(HostTensor::f32_mut).unwrap_or_default();
    draws.chunks_exact_mut(columns).enumerate().for_each(|(at, row)| set(row, at));
}

/// Up to the size of the smallest image less one, which is as far as a mirror reaches.
fn crops(tensors: &mut Tensors) {
    const PLACES: [[f32; 3]; 6] =
        [[0.0, 0.0, 0.0], [2.0, -3.0, 1.0], [-6.0, 6.0, 0.0], [0.0, 0.0, 1.0], [6.0, 1.0, 1.0], [-1.0, -5.0, 0.0]];
    rows(tensors, "draws", 3, |row, at| row.copy_from_slice(&PLACES[at]));
}

/// The whole, parts of it that grow and shrink, and one pixel.
fn boxes_within(tensors: &mut Tensors) {
    const BOXES: [[f32; 4]; 6] = [
        [0.0, 0.0, 7.0, 7.0],
        [1.0, 2.0, 5.0, 3.0],
        [3.0, 0.0, 1.0, 7.0],
        [6.0, 5.0, 1.0, 1.0],
        [0.0, 1.0, 7.0, 6.0],
        [2.0, 0.0, 2.0, 7.0],
    ];
    let sizes = tensors.get("x").map_or(0, |x| x.f32().len());
    rows(tensors, "draws", 4, |row, at| {
        row.copy_from_slice(&BOXES[at]);
        // The large images, which shrink.
        if sizes > 1_000_000 && at < 2 {
            row.copy_from_slice(&[[1.0, 3.0, 690.0, 1020.0], [100.0, 0.0, 333.0, 1025.0]][at]);
        }
    });
}

/// The identity, a turn, a shear with a shift, a mirror, what shrinks, and one that leaves the image.
fn maps(tensors: &mut Tensors) {
    const MAPS: [[f32; 7]; 6] = [
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5],
        [0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0],
        [1.0, 0.3, 1.7, 0.0, 1.0, -2.2, 0.75],
        [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5],
        [1.9, 0.1, 0.3, -0.2, 1.6, 0.4, -0.25],
        [1.0, 0.0, 5e4, 0.0, 1.0, -5e4, 0.5],
    ];
    rows(tensors, "draws", 7, |row, at| row.copy_from_slice(&MAPS[at]));
}

fn deviations(tensors: &mut Tensors) {
    const SIGMAS: [f32; 6] = [0.7, 0.0, 2.0, 0.1, 5.0, 1.0];
    rows(tensors, "draws", 1, |row, at| row[0] = SIGMAS[at]);
}

/// Each change, of pixels with and without a fraction, and two of images of one colour.
fn colours(tensors: &mut Tensors) {
    let amount = |colour| match colour {
        Colour::Hue => 0.37,
        Colour::Posterize => 3.0,
        Colour::Solarize => 100.0,
        Colour::Contrast | Colour::Sharpness => 1.7,
        _ => 0.6,
    };
    let all: Vec<Colour> = Colour::all().chain([Colour::Autocontrast, Colour::Equalize]).collect();
    if let Some(x) = tensors.get_mut("x") {
        let length = x.f32().len() / all.len();
        for (image, pixels) in x.f32_mut().chunks_exact_mut(length).enumerate() {
            for (at, pixel) in pixels.iter_mut().enumerate() {
                let wide = 127.5 * (*pixel + 1.0);
                *pixel = match (image < 12, at % 3) {
                    (false, _) => 77.0,
                    (true, 0) => wide,
                    (true, _) => wide.floor(),
                };
            }
            // The least pixel is one of the last invocation that looks for it.
            if image < 12 && all[image] == Colour::Autocontrast {
                pixels.iter_mut().for_each(|pixel| *pixel = 20.0 + 0.8 * *pixel);
                pixels.iter_mut().skip(63).take(1).for_each(|pixel| *pixel = 1.0);
            }
        }
    }
    rows(tensors, "draws", 2, |row, at| row.copy_from_slice(&all[at].row(amount(all[at]))));
}

fn boxes_anywhere(tensors: &mut Tensors) {
    const BOXES: [[f32; 4]; 6] = [
        [1.0, 2.0, 3.0, 4.0],
        [-2.0, 3.0, 5.0, 20.0],
        [0.0, 0.0, 0.0, 5.0],
        [4.0, -1.0, 1.0, 2.0],
        [-1.0, -1.0, 99.0, 99.0],
        [3.0, 3.0, 2.0, 2.0],
    ];
    rows(tensors, "draws", 4, |row, at| row.copy_from_slice(&BOXES[at]));
}
