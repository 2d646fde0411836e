//! Training images on the device: from bytes to what a network takes, changed at random on the way.
//!
//! What is random is drawn on the host, a row of numbers for each image, and the same on every device
//! ([`Augmentations`](crate::data::Augmentations)).

mod blur;
mod card;
mod change;
mod colour;
mod mix;

pub(crate) use card::CARD;
pub use change::{Border, ChangeImages};
pub use colour::Colour;
pub use mix::MixImages;

use super::{expect_inputs, expect_nchw};
use crate::graph::{Cost, Op};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{ElementType, HostTensor, Shape, Shapes, TensorSpec};

static UNPACK: Shader = Shader::new("images/unpack", &[read("bytes").u32(), write("x")]);
static NORMALIZE: Shader = Shader::new("images/normalize", &[read("x"), read("numbers").vec2(), write("y")]);

/// The bytes of images, as floats from 0 to 255. Input `[N, words]` of u32, four bytes in each, the first in the lowest bits;
/// an image begins at a word of its own. Output `[N, C, H, W]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackImages {
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
}

impl UnpackImages {
    /// Elements of an image, and the words that hold them.
    fn sizes(&self) -> [usize; 2] {
        let elements = Shape::from(self.shape).elements();
        [elements, UnpackImages::words(elements)]
    }

    /// Words that hold so many bytes.
    pub const fn words(bytes: usize) -> usize {
        bytes.div_ceil(4)
    }
}

impl Op for UnpackImages {
    type Geometry = [usize; 2];

    fn name(&self) -> &'static str {
        "unpack_images"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        let [elements, words] = self.sizes();
        match inputs[0].shape[..] {
            [n, held] if held == words && inputs[0].element == ElementType::U32 => {
                let [channels, height, width] = self.shape;
                Ok((vec![TensorSpec::f32([n, channels, height, width])], [elements, words]))
            }
            _ => Err(format!("it takes bytes [N, {words}] of u32 for images of {elements} bytes")),
        }
    }

    fn reference(&self, &[elements, words]: &[usize; 2], inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let images = outputs[0].f32_mut().chunks_exact_mut(elements);
        for (image, words) in images.zip(inputs[0].u32().chunks_exact(words)) {
            let bytes = words.iter().flat_map(|word| word.to_le_bytes());
            image.iter_mut().zip(bytes).for_each(|(x, byte)| *x = f32::from(byte));
        }
    }

    fn launch(&self, &[elements, words]: &[usize; 2], launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&UNPACK).constant("ELEMENTS", elements).constant("WORDS", words);
        let count = launch.output(0).elements();
        launch.linear(kernel, count, [("bytes", Operand::input(0)), ("x", Operand::output(0))]);
        Ok(())
    }
}

/// y = (x / 255 - mean) / std, channel by channel. Inputs x `[N, C, H, W]` and `[C, 2]`, mean and standard deviation of each
/// channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormalizeImages;

impl Op for NormalizeImages {
    type Geometry = [usize; 2];

    fn name(&self) -> &'static str {
        "normalize_images"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        let [_, channels, height, width] = expect_nchw(inputs[0])?;
        match inputs[1].shape[..] == [channels, 2] {
            true => Ok((vec![inputs[0].clone()], [channels, height * width])),
            false => Err(format!("it takes a mean and a deviation for each of {channels} channels")),
        }
    }

    fn reference(&self, &[channels, plane]: &[usize; 2], inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let planes = inputs[0].f32().chunks_exact(plane).zip(outputs[0].f32_mut().chunks_exact_mut(plane));
        for (index, (from, to)) in planes.enumerate() {
            let [mean, std] = [0, 1].map(|column| inputs[1].f32()[index % channels * 2 + column]);
            to.iter_mut().zip(from).for_each(|(y, &x)| *y = (x / 255.0 - mean) / std);
        }
    }

    fn launch(&self, &[channels, plane]: &[usize; 2], launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&NORMALIZE).constant("CHANNELS", channels).constant("PLANE", plane);
        let operands = [("x", Operand::input(0)), ("numbers", Operand::input(1)), ("y", Operand::output(0))];
        launch.linear(kernel, launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &[usize; 2], shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 3 * shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
