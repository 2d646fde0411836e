//! Images of a batch, mixed with each other.

use crate::graph::{Cost, Op};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::ops::{expect_inputs, expect_nchw};
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static MIX: Shader = Shader::new("images/mix", &[read("x"), read("numbers"), write("y")]);

/// y of image n is s x of image n + (1 - s) x of image n - 1 within a box, and x elsewhere; before the first image comes the
/// last. Inputs x `[N, C, H, W]` and `[5]`: the box's top, left, height and width, and s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixImages;

impl MixImages {
    /// Elements of its second input.
    pub const NUMBERS: usize = 5;
}

impl Op for MixImages {
    type Geometry = [usize; 4];

    fn name(&self) -> &'static str {
        "mix_images"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        let shape = expect_nchw(inputs[0])?;
        match inputs[1].shape[..] == [MixImages::NUMBERS] {
            true => Ok((vec![inputs[0].clone()], shape)),
            false => Err("it takes a box and a share, five numbers for all images together".to_owned()),
        }
    }

    fn reference(
        &self,
        &[n, channels, height, width]: &[usize; 4],
        inputs: &[&HostTensor],
        outputs: &mut [HostTensor],
    ) {
        let (x, numbers) = (inputs[0].f32(), inputs[1].f32());
        let length = channels * height * width;
        let is_in = |at: usize, first: f32, size: f32| (0.0..size).contains(&(at as f32 - first));
        for (at, y) in outputs[0].f32_mut().iter_mut().enumerate() {
            let (row, column) = (at / width % height, at % width);
            let before = (at + (n - 1) * length) % (n * length);
            *y = match is_in(row, numbers[0], numbers[2]) && is_in(column, numbers[1], numbers[3]) {
                true => {
                    (f64::from(numbers[4]) * f64::from(x[at]) + (1.0 - f64::from(numbers[4])) * f64::from(x[before]))
                        as f32
                }
                false => x[at],
            };
        }
    }

    fn launch(&self, &[n, channels, height, width]: &[usize; 4], launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&MIX).constant("IMAGES", n).constant("ELEMENTS", channels * height * width);
        let operands = [("x", Operand::input(0)), ("numbers", Operand::input(1)), ("y", Operand::output(0))];
        let sizes = [("HEIGHT", height), ("WIDTH", width)];
        launch.linear(kernel.constants(sizes), launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &[usize; 4], shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 3 * shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
