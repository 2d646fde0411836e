//! Changes to images, each by a row of numbers of its own.

use super::{blur, colour};
use crate::graph::Op;
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::{expect_inputs, expect_nchw};
use crate::tensor::{HostTensor, TensorSpec};
use std::ops::Range;

static CROP: Shader = Shader::new("images/crop", &[read("x"), read("draws"), write("y")]);
static RESIZED_CROP: Shader = Shader::new("images/resized_crop", &[read("x"), read("draws"), write("y")]);
static AFFINE: Shader = Shader::new("images/affine", &[read("x"), read("draws"), write("y")]);
static ERASE: Shader = Shader::new("images/erase", &[read("x"), read("draws"), write("y")]);

/// A change to each image of x `[N, C, H, W]`, as its row of the second input says. y has the shape of x, but for what
/// resizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeImages {
    /// y[i, j] = x[i + top, j + left], with j counted from the right where `mirrored` is 1: rows (top, left, mirrored) of
    /// whole numbers. Beyond the image is the border.
    Crop(Border),
    /// The box of x from (top, left), resized to this height and width: rows (top, left, height, width) of whole numbers,
    /// a box within the image. A pixel is the mean of those around its place, by weights that fall linearly with the
    /// distance and reach further where the box shrinks, as Pillow's bilinear resampling has it.
    ResizedCrop([usize; 2]),
    /// y at a place is x at the place that a map takes it to, between pixels by their distances (bilinear), and fill
    /// beyond the image. Places are (across, down) in pixels from the centre; rows (a, b, c, d, e, f, fill) take (u, v) to
    /// (a u + b v + c, d u + e v + f).
    Affine,
    /// Blurred by a Gaussian of so many pixels on a side, an odd number, with the image's mirror image around it: rows (sigma),
    /// and 0 leaves an image as it is.
    Blur(usize),
    /// Other colours, in images of one or three channels: rows are [`Colour::row`](super::Colour::row).
    Colour,
    /// 0 within a box, and x elsewhere: rows (top, left, height, width); what of a box is beyond the image does not count.
    Erase,
}

/// What is beyond an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Zeros, which are black before normalisation.
    Zero,
    /// The image in a mirror; its last pixel is not seen twice. As far as the image goes, less one pixel.
    Reflect,
    /// The pixel at the edge.
    Edge,
}

impl ChangeImages {
    /// Numbers in an image's row.
    pub fn columns(self) -> usize {
        match self {
            ChangeImages::Crop(_) => 3,
            ChangeImages::ResizedCrop(_) | ChangeImages::Erase => 4,
            ChangeImages::Affine => 7,
            ChangeImages::Blur(_) => 1,
            ChangeImages::Colour => 2,
        }
    }

    /// Height and width of what becomes of images of this size.
    pub(crate) fn size(self, image: [usize; 2]) -> [usize; 2] {
        if let ChangeImages::ResizedCrop(size) = self { size } else { image }
    }

    /// Element (i, j) of a changed plane of `height` x `width`.
    fn at(self, x: &[f32], [height, width]: [usize; 2], row: &[f32], [i, j]: [usize; 2]) -> f32 {
        match self {
            ChangeImages::Crop(border) => {
                let j = if row[2] > 0.0 { width - 1 - j } else { j };
                let places = [(i as i32 + row[0] as i32, height), (j as i32 + row[1] as i32, width)];
                match places.map(|(at, size)| border.place(at, size)) {
                    [Some(i), Some(j)] => x[i * width + j],
                    _ => 0.0,
                }
            }
            ChangeImages::ResizedCrop(size) => {
                let [rows, columns] = [Taps::new(i, size[0], row[2]), Taps::new(j, size[1], row[3])];
                let corner = row[0] as usize * width + row[1] as usize;
                let (mut sum, mut weights) = (0.0, 0.0);
                for at in rows.range.clone() {
                    for beside in columns.range.clone() {
                        let factor = rows.weight(at) * columns.weight(beside);
                        sum += factor * f64::from(x[corner + at * width + beside]);
                        weights += factor;
                    }
                }
                (sum / weights) as f32
            }
            ChangeImages::Affine => {
                let center = [width, height].map(|size| (size as f64 - 1.0) / 2.0);
                let (u, v) = (j as f64 - center[0], i as f64 - center[1]);
                let map = |row: &[f32]| f64::from(row[0]) * u + f64::from(row[1]) * v + f64::from(row[2]);
                let place = [map(&row[..3]) + center[0], map(&row[3..]) + center[1]];
                let pixel = |i: f64, j: f64| match (0.0..height as f64).contains(&i) && (0.0..width as f64).contains(&j)
                {
                    true => f64::from(x[i as usize * width + j as usize]),
                    false => f64::from(row[6]),
                };
                let [j, i] = place.map(f64::floor);
                let [across, down] = [place[0] - j, place[1] - i];
                let line = |i: f64| pixel(i, j) * (1.0 - across) + pixel(i, j + 1.0) * across;
                (line(i) * (1.0 - down) + line(i + 1.0) * down) as f32
            }
            ChangeImages::Erase => {
                let is_in = |at: usize, first: f32, size: f32| (0.0..size).contains(&(at as f32 - first));
                match is_in(i, row[0], row[2]) && is_in(j, row[1], row[3]) {
                    true => 0.0,
                    false => x[i * width + j],
                }
            }
            ChangeImages::Blur(size) => blur::at(x, [height, width], [i, j], size, f64::from(row[0])) as f32,
            ChangeImages::Colour => unreachable!("whole images are coloured together"),
        }
    }
}

impl Border {
    /// The pixel of a line of `size` that is seen at `at`.
    pub(super) fn place(self, at: i32, size: usize) -> Option<usize> {
        let size = size as i32;
        let place = match self {
            Border::Zero => at,
            Border::Reflect if at >= size => 2 * (size - 1) - at,
            Border::Reflect => at.abs(),
            Border::Edge => at.clamp(0, size - 1),
        };
        (0..size).contains(&place).then_some(place as usize)
    }
}

/// The pixels of a line that one pixel of the resized line is made of.
struct Taps {
    range: Range<usize>,
    center: f64,
    reach: f64,
}

impl Taps {
    /// Of pixel `at` of `size`, in a line of `length` pixels.
    fn new(at: usize, size: usize, length: f32) -> Taps {
        let length = f64::from(length);
        let scale = length / size as f64;
        let reach = scale.max(1.0);
        let center = (at as f64 + 0.5) * scale;
        let range = (center - reach + 0.5).max(0.0) as usize..(center + reach + 0.5).min(length) as usize;
        Taps { range, center, reach }
    }

    fn weight(&self, at: usize) -> f64 {
        (1.0 - ((at as f64 + 0.5 - self.center) / self.reach).abs()).max(0.0)
    }
}

impl Op for ChangeImages {
    type Geometry = [usize; 4];

    fn name(&self) -> &'static str {
        match self {
            ChangeImages::Crop(_) => "crop_images",
            ChangeImages::ResizedCrop(_) => "resized_crop_images",
            ChangeImages::Affine => "affine_images",
            ChangeImages::Erase => "erase_images",
            ChangeImages::Blur(_) => "blur_images",
            ChangeImages::Colour => "colour_images",
        }
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        let [n, channels, height, width] = expect_nchw(inputs[0])?;
        let columns = self.columns();
        match *self {
            ChangeImages::Blur(size) if size.is_multiple_of(2) || size / 2 >= height.min(width) => {
                return Err(format!(
                    "it blurs by {size} pixels, but must do so by an odd number, of which half lie in the image"
                ));
            }
            ChangeImages::Colour if channels != 1 && channels != 3 => {
                return Err(format!("it takes images of one channel or three, not {channels}"));
            }
            _ => {}
        }
        match inputs[1].shape[..] == [n, columns] {
            true => {
                let [out_height, out_width] = self.size([height, width]);
                Ok((vec![TensorSpec::f32([n, channels, out_height, out_width])], [n, channels, height, width]))
            }
            false => Err(format!("it takes {columns} numbers for each of {n} images")),
        }
    }

    fn reference(
        &self,
        &[_, channels, height, width]: &[usize; 4],
        inputs: &[&HostTensor],
        outputs: &mut [HostTensor],
    ) {
        if *self == ChangeImages::Colour {
            return colour::reference([channels, height, width], inputs, outputs);
        }
        let [out_height, out_width] = self.size([height, width]);
        let changed = outputs[0].f32_mut().chunks_exact_mut(out_height * out_width);
        let planes = inputs[0].f32().chunks_exact(height * width).zip(changed);
        for (index, (x, y)) in planes.enumerate() {
            let row = &inputs[1].f32()[index / channels * self.columns()..][..self.columns()];
            for (at, y) in y.iter_mut().enumerate() {
                *y = self.at(x, [height, width], row, [at / out_width, at % out_width]);
            }
        }
    }

    fn launch(&self, shape: &[usize; 4], launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = match *self {
            ChangeImages::Crop(border) => Kernel::new(&CROP)
                .condition("reflect", border == Border::Reflect)
                .condition("edge", border == Border::Edge),
            ChangeImages::ResizedCrop([height, width]) => {
                Kernel::new(&RESIZED_CROP).constant("OUT_HEIGHT", height).constant("OUT_WIDTH", width)
            }
            ChangeImages::Affine => Kernel::new(&AFFINE),
            ChangeImages::Erase => Kernel::new(&ERASE),
            ChangeImages::Blur(size) => return blur::launch(*shape, size, launch),
            ChangeImages::Colour => return colour::launch(*shape, launch),
        };
        let [_, channels, height, width] = *shape;
        let [out_height, out_width] = self.size([height, width]);
        let taps = |size: usize, out: usize| 2 * size.div_ceil(out) + 1;
        launch.expect_loop(taps(height, out_height) * taps(width, out_width))?;
        let sizes = [("HEIGHT", height), ("WIDTH", width), ("ELEMENTS", channels * out_height * out_width)];
        let operands = [("x", Operand::input(0)), ("draws", Operand::input(1)), ("y", Operand::output(0))];
        launch.linear(kernel.constants(sizes), launch.output(0).elements(), operands);
        Ok(())
    }
}
