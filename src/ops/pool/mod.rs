//! Pooling: one number for each window of an image's plane.

mod adaptive;
mod adaptive_max;
mod average;
mod card;
mod max;
#[cfg(test)]
mod tests;

pub(crate) use adaptive_max::CARD as ADAPTIVE_MAX;
pub(crate) use card::CARD;

pub use adaptive::{AdaptiveAvgPool2d, AdaptiveAvgPoolBackward};
pub use adaptive_max::{AdaptiveMaxPool2d, AdaptiveMaxPoolBackward};
pub use average::{AvgPool2d, AvgPoolBackward};
pub use max::{MaxPool2d, MaxPoolBackward};

use super::expect_nchw;
use crate::kernel::{Kernel, Shader};
use crate::tensor::{ElementType, HostTensor, Shape, TensorSpec};
use std::ops::Range;

/// The place in a plane x of the largest of `indices`: of equal ones the first, and NaN, of which the last counts, before
/// any number.
fn largest(x: &[f32], indices: impl Iterator<Item = usize>) -> Option<usize> {
    let larger = |best: usize, index: usize| x[index] > x[best] || x[index].is_nan();
    indices.reduce(|best, index| if larger(best, index) { index } else { best })
}

/// Checks the inputs of a max pooling's backward pass, whose output has the shape `y`.
fn expect_places(inputs: &[&TensorSpec], y: &Shape) -> Result<(), String> {
    match inputs[0].element == ElementType::U32 && inputs.iter().all(|input| input.shape == *y) {
        true => Ok(()),
        false => Err(format!("places (u32) and gradients of the maxima have the shape {y}")),
    }
}

/// Of inputs places and dy, planes of `out`, to dx, planes of `size`: the sum of the gradients of each element's maxima.
fn add_at_places(size: [usize; 2], out: [usize; 2], inputs: &[&HostTensor], dx: &mut HostTensor) {
    for (p, dx) in dx.f32_mut().chunks_exact_mut((size[0] * size[1]).max(1)).enumerate() {
        let mut sums = vec![0.0f64; dx.len()];
        for o in plane(p, out) {
            sums[inputs[0].u32()[o] as usize] += f64::from(inputs[1].f32()[o]);
        }
        dx.iter_mut().zip(sums).for_each(|(dx, sum)| *dx = sum as f32);
    }
}

/// What slides over an image. Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug)]
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    ceil_mode: bool,
}

impl Window {
    /// Shape of the output and what is pooled, or the rule that image and window break.
    fn infer(&self, x: &TensorSpec) -> Result<(Shape, Geometry), String> {
        let [batch, channels, height, width] = expect_nchw(x)?;
        if x.element != ElementType::F32 {
            return Err("it pools images of f32".to_owned());
        }
        if [self.kernel, self.stride, self.dilation].as_flattened().contains(&0) {
            return Err("kernel, stride and dilation are at least 1".to_owned());
        }
        let out = [self.output_size(0, height)?, self.output_size(1, width)?];
        let geometry = Geometry { window: *self, planes: batch * channels, size: [height, width], out };
        Ok(([batch, channels, out[0], out[1]].into(), geometry))
    }

    /// From the first to the last row (column) that a window touches.
    fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1).saturating_mul(self.dilation[axis]).saturating_add(1)
    }

    /// floor or ceil((size + 2 padding - extent) / stride) + 1; a last window that would start past
    /// the image and its left padding is dropped.
    fn output_size(&self, axis: usize, size: usize) -> Result<usize, String> {
        let (extent, stride, padding) = (self.extent(axis), self.stride[axis], self.padding[axis]);
        if padding > extent / 2 {
            return Err(format!("padding {padding} passes half of the window's {extent}"));
        }
        let room = size
            .saturating_add(padding.saturating_mul(2))
            .checked_sub(extent)
            .ok_or_else(|| format!("a window of {extent} does not fit into {size} with padding {padding}"))?;
        let mut out = if self.ceil_mode { room.div_ceil(stride) } else { room / stride } + 1;
        if (out - 1).saturating_mul(stride) >= size.saturating_add(padding) {
            out -= 1;
        }
        let empty = |o: &usize| self.inside(axis, size, *o).next().is_none();
        match (0..out).find(empty) {
            None => Ok(out),
            Some(_) => Err(format!("a window of {extent} holds no element of the {size} with padding {padding}")),
        }
    }

    /// Padding below and to the right that gives y's size without ONNX's `ceil_mode`, whose last window runtimes have
    /// not agreed upon.
    fn end_padding(&self, x: &Shape, y: &Shape) -> [usize; 2] {
        [0, 1].map(|axis| {
            let reached = (y[2 + axis] - 1) * self.stride[axis] + self.extent(axis);
            self.padding[axis].max(reached.saturating_sub(x[2 + axis] + self.padding[axis]))
        })
    }

    /// The rows (columns) of the image that window `o` looks at.
    fn inside(&self, axis: usize, size: usize, o: usize) -> impl Iterator<Item = usize> + use<> {
        let (start, padding, dilation) = (o * self.stride[axis], self.padding[axis], self.dilation[axis]);
        (0..self.kernel[axis])
            .filter_map(move |tap| (start + tap * dilation).checked_sub(padding))
            .filter(move |&row| row < size)
    }
}

/// A window over `planes` planes of `size`, with `out` positions.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    window: Window,
    planes: usize,
    size: [usize; 2],
    out: [usize; 2],
}

impl Geometry {
    fn rows(&self, oy: usize) -> impl Iterator<Item = usize> + use<> {
        self.window.inside(0, self.size[0], oy)
    }

    fn columns(&self, ox: usize) -> impl Iterator<Item = usize> + use<> {
        self.window.inside(1, self.size[1], ox)
    }

    fn outputs(&self) -> usize {
        self.planes * self.out[0] * self.out[1]
    }

    /// Elements that all windows look at, padding included.
    fn window_elements(&self) -> u64 {
        self.outputs() as u64 * (self.window.kernel[0] * self.window.kernel[1]) as u64
    }

    /// Steps of the loops over a window.
    fn window_steps(&self) -> usize {
        self.window.kernel[0] * (self.window.kernel[1] + 1)
    }

    fn kernel(&self, shader: &'static Shader) -> Kernel {
        let window = &self.window;
        Kernel::new(shader).constants([
            ("HEIGHT", self.size[0]),
            ("WIDTH", self.size[1]),
            ("OUT_HEIGHT", self.out[0]),
            ("OUT_WIDTH", self.out[1]),
            ("KERNEL_Y", window.kernel[0]),
            ("KERNEL_X", window.kernel[1]),
            ("STRIDE_Y", window.stride[0]),
            ("STRIDE_X", window.stride[1]),
            ("PADDING_Y", window.padding[0]),
            ("PADDING_X", window.padding[1]),
            ("DILATION_Y", window.dilation[0]),
            ("DILATION_X", window.dilation[1]),
        ])
    }

    /// The kernel of a backward pass and its number of invocations. One invocation owns a cell of the
    /// padded image and looks at every window that reaches into it, so each window is loaded once for
    /// a whole cell, and once only where windows do not overlap.
    fn cells(&self, shader: &'static Shader) -> (Kernel, usize) {
        let window = &self.window;
        let cell: [usize; 2] = std::array::from_fn(|axis| match window.stride[axis] {
            1 => 2,
            stride => stride.min(4),
        });
        let cells: [usize; 2] =
            std::array::from_fn(|axis| (self.size[axis] + window.padding[axis]).div_ceil(cell[axis]));
        let windows: [usize; 2] = std::array::from_fn(|axis| {
            let (extent, stride) = (window.extent(axis), window.stride[axis]);
            match cell[axis].is_multiple_of(stride) {
                true => cell[axis] / stride + extent.div_ceil(stride) - 1,
                false => (cell[axis] + extent - 2) / stride + 1,
            }
        });
        let kernel = self.kernel(shader).constants([
            ("CELL_Y", cell[0]),
            ("CELL_X", cell[1]),
            ("CELLS_Y", cells[0]),
            ("CELLS_X", cells[1]),
            ("WINDOWS_Y", windows[0]),
            ("WINDOWS_X", windows[1]),
            ("EXTENT_Y", window.extent(0)),
            ("EXTENT_X", window.extent(1)),
        ]);
        (kernel, self.planes * cells[0] * cells[1])
    }
}

/// The range of plane `index` in a tensor of planes of `size`.
fn plane(index: usize, size: [usize; 2]) -> Range<usize> {
    let elements = size[0] * size[1];
    index * elements..(index + 1) * elements
}
