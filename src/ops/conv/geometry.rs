//! The sizes of a two-dimensional convolution, shared by its three passes.

use std::ops::Range;

/// A convolution of `[batch, channels, height, width]` with `[filters, channels / groups, kernel...]`.
/// Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvGeometry {
    /// Images.
    pub batch: usize,
    /// Channels of x, of all groups.
    pub channels: usize,
    /// Height and width of x.
    pub size: [usize; 2],
    /// Channels of y, of all groups.
    pub filters: usize,
    /// Height and width of a filter.
    pub kernel: [usize; 2],
    /// Pixels from one window to the next.
    pub stride: [usize; 2],
    /// Zeros before and after x.
    pub padding: [usize; 2],
    /// Pixels from one tap of a filter to the next.
    pub dilation: [usize; 2],
    /// Parts of channels and filters that see nothing of each other.
    pub groups: usize,
    /// Height and width of the output.
    pub out: [usize; 2],
}

impl ConvGeometry {
    /// A matrix product: `rows` rows of `inputs` features to `outputs` features.
    pub fn linear(rows: usize, inputs: usize, outputs: usize) -> Self {
        ConvGeometry {
            batch: rows,
            channels: inputs,
            size: [1, 1],
            filters: outputs,
            kernel: [1, 1],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
            out: [1, 1],
        }
    }

    /// Whether a window is one pixel, so that no output needs a pixel's neighbours: a matrix product.
    pub fn is_product(&self) -> bool {
        self.kernel == [1, 1]
    }

    /// Channels that one filter sees.
    pub fn group_channels(&self) -> usize {
        self.channels / self.groups
    }

    /// Filters of one group.
    pub fn group_filters(&self) -> usize {
        self.filters / self.groups
    }

    /// Multiply-adds of one pass, padding counted as work.
    pub fn multiply_adds(&self) -> u64 {
        let per_output = self.group_channels() * self.kernel[0] * self.kernel[1];
        (self.batch * self.filters * self.out[0] * self.out[1]) as u64 * per_output as u64
    }

    /// Along `axis`, the outputs whose window's element `tap` lies inside the image.
    pub fn outputs_inside(&self, axis: usize, tap: usize) -> Range<usize> {
        let offset = (tap * self.dilation[axis]) as isize - self.padding[axis] as isize;
        let stride = self.stride[axis] as isize;
        let first = (-offset).max(0).div_ceil_to(stride);
        let end = (self.size[axis] as isize - offset).max(0).div_ceil_to(stride);
        first.min(self.out[axis])..end.min(self.out[axis])
    }

    /// Along `axis`, the input that output `out` meets at `tap`; call it for outputs inside only.
    pub fn input_at(&self, axis: usize, out: usize, tap: usize) -> usize {
        out * self.stride[axis] + tap * self.dilation[axis] - self.padding[axis]
    }
}

/// Along one axis, the inputs `first`, `first + step`, ... that the taps `tap`, `tap + tap_step`, ... meet, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    pub first: usize,
    pub step: usize,
    pub inputs: usize,
    pub tap: usize,
    pub tap_step: usize,
    pub taps: usize,
}

impl ConvGeometry {
    /// All inputs, all taps, and in between zeros where the stride leaves inputs out.
    pub(super) fn whole(&self, axis: usize) -> Phase {
        Phase { first: 0, step: 1, inputs: self.size[axis], tap: 0, tap_step: 1, taps: self.kernel[axis] }
    }

    /// Along `axis`, the phases that together have every input: as many as the stride is long.
    pub(super) fn phases(&self, axis: usize) -> Vec<Phase> {
        let (step, size) = (self.stride[axis], self.size[axis]);
        let phase = |first: usize| {
            let meets = |tap: &usize| (first + self.padding[axis]) % step == tap * self.dilation[axis] % step;
            let met: Vec<usize> = (0..self.kernel[axis]).filter(meets).collect();
            let tap_step = match met[..] {
                [first, second, ..] => second - first,
                _ => 1,
            };
            let tap = met.first().copied().unwrap_or(0);
            Phase { first, step, inputs: (size - first).div_ceil(step), tap, tap_step, taps: met.len() }
        };
        (0..step.min(size)).map(phase).collect()
    }
}

trait DivCeil {
    fn div_ceil_to(self, divisor: isize) -> usize;
}

impl DivCeil for isize {
    /// Of numbers that are not negative.
    fn div_ceil_to(self, divisor: isize) -> usize {
        ((self + divisor - 1) / divisor) as usize
    }
}

/// Size of a convolution's or a pooling's output along one axis, rounded down; `None` when the
/// window is larger than the padded input, or the sizes cannot be counted.
pub fn output_size(size: usize, kernel: usize, stride: usize, padding: usize, dilation: usize) -> Option<usize> {
    let window = dilation.checked_mul(kernel.checked_sub(1)?)?.checked_add(1)?;
    let padded = padding.checked_mul(2)?.checked_add(size)?;
    padded.checked_sub(window)?.checked_div(stride)?.checked_add(1)
}
