//! What the tile body reads: images and weights as textures.

use super::tile::{LARGE_TILE, is_specialised};
use super::{Split, WORKGROUP};
use crate::kernel::{
    Argument, DeviceProfile, Kernel, Launch, MAX_LOOP_STEPS, Operand, Shader, read, write, write_texture,
};
use crate::ops::conv::ConvGeometry;

static PACK_PIXELS: Shader =
    Shader::new("conv/pack_pixels", &[read("source"), write_texture("packed"), write("sums").when("bias_gradient")]);
static PACK_WEIGHTS: Shader = Shader::new("conv/pack_weights", &[read("source"), write_texture("packed")]);

/// Invocations that keep a CPU's lanes busy.
const ENOUGH_INVOCATIONS: usize = 512;

/// Texels in a row of the packed weights, a power of two.
pub(super) const WEIGHT_ROW: usize = 4096;

/// Images as a texture: `quads` of channels side by side, images below each other, zeros around.
#[derive(Clone, Copy)]
pub(super) struct Packed {
    pub images: usize,
    /// Channels that are packed, the first of them, and all that the buffer [images, channels, height,
    /// width] holds.
    pub channels: usize,
    pub first_channel: usize,
    pub all_channels: usize,
    pub size: [usize; 2],
    /// Zeros above and to the left.
    pub border: [usize; 2],
    /// Height and width with the borders.
    pub padded: [usize; 2],
    /// Image slots, at least `images`.
    pub slots: usize,
    /// A texel holds four neighbours of a row instead of four channels.
    pub rows: bool,
    /// With `rows`, neighbours that the last texel of a window is for, if those are fewer than four: all texels are
    /// there a second time with zeros in the place of the others, which times a weight of 0 are 0 and never NaN.
    pub last: usize,
}

impl Packed {
    /// A convolution's input as its windows meet it, for `outputs` rows and columns of them; without texels for the
    /// ends of windows.
    pub(super) fn windows(g: &ConvGeometry, shape: Shape, outputs: [usize; 2], slots: usize) -> Packed {
        Packed {
            images: g.batch,
            channels: g.channels,
            first_channel: 0,
            all_channels: g.channels,
            size: g.size,
            border: g.padding,
            padded: [
                (outputs[0] - 1) * g.stride[0] + (g.kernel[0] - 1) * g.dilation[0] + 1,
                (outputs[1] - 1) * g.stride[1] + (shape.kernel_width - 1) * shape.dilation_x + 1,
            ],
            slots,
            rows: shape.rows,
            last: 0,
        }
    }

    /// With texels for the ends of windows, where they end within a texel.
    pub(super) fn with_ends(self, g: &ConvGeometry) -> Packed {
        Packed { last: if self.rows { g.kernel[1] % 4 } else { 0 }, ..self }
    }

    /// Texels from one for the middle of a window to the one for its end.
    pub(super) fn ends_offset(self) -> usize {
        if self.last > 0 { self.channels * self.padded[1] } else { 0 }
    }

    pub(super) fn quads(&self) -> usize {
        match (self.rows, self.last) {
            (false, _) => self.channels.div_ceil(4),
            (true, 0) => self.channels,
            (true, _) => 2 * self.channels,
        }
    }

    pub(super) fn width(&self) -> usize {
        self.quads() * self.padded[1]
    }

    pub(super) fn height(&self) -> usize {
        self.slots * self.padded[0]
    }

    /// Images as a texture.
    pub(super) fn pack(&self, launch: &mut Launch<'_>, source: Operand) -> Operand {
        let kernel = Kernel::new(&PACK_PIXELS);
        self.launch(launch, kernel, source, None)
    }

    /// As [`Packed::pack`], with the sum of each channel's pixels in `sums`.
    pub(super) fn pack_and_sum(&self, launch: &mut Launch<'_>, source: Operand, sums: Operand) -> Operand {
        let sums = Split::new(launch, sums, self.channels, self.parts());
        let kernel = Kernel::new(&PACK_PIXELS).condition("bias_gradient", true);
        let texture = self.launch(launch, kernel, source, Some(sums.target));
        sums.merge(launch);
        texture
    }

    /// Rows of an invocation: enough invocations for every core's lanes, and no loop too long.
    fn part_rows(&self) -> usize {
        let wanted = ENOUGH_INVOCATIONS.div_ceil(self.quads()).min(self.height());
        self.height().div_ceil(wanted).min(MAX_LOOP_STEPS / (self.padded[1] + 1)).max(1)
    }

    fn parts(&self) -> usize {
        self.height().div_ceil(self.part_rows())
    }

    fn launch(&self, launch: &mut Launch<'_>, kernel: Kernel, source: Operand, sums: Option<Operand>) -> Operand {
        let texture = launch.texture(self.width(), self.height());
        let kernel = kernel
            .arguments(signed([
                ("images", self.images),
                ("channels", self.channels),
                ("first_channel", self.first_channel),
                ("all_channels", self.all_channels),
                ("height", self.size[0]),
                ("width", self.size[1]),
                ("border_y", self.border[0]),
                ("border_x", self.border[1]),
                ("padded_height", self.padded[0]),
                ("padded_width", self.padded[1]),
                ("quads", self.quads()),
                ("part_rows", self.part_rows()),
                ("all_rows", self.height()),
            ]))
            .arguments(signed([("last", self.last)]).into_iter().filter(|_| self.rows))
            .condition("rows", self.rows);
        let operands = [("source", source), ("packed", texture)].into_iter().chain(sums.map(|sums| ("sums", sums)));
        launch.linear_by(WORKGROUP, kernel, self.parts() * self.quads(), operands);
        texture
    }
}

/// A convolution as the tile body sees it: images of few channels take four neighbours of a row as
/// channels, so that texels are full and the kernel is a quarter as wide.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub rows: bool,
    /// Texels of a group's channels at one pixel.
    pub quads: usize,
    pub kernel_width: usize,
    pub dilation_x: usize,
}

impl Shape {
    pub(super) fn of(g: &ConvGeometry) -> Shape {
        let rows = g.channels < 3 && g.dilation[1] == 1 && g.kernel[1] > 1;
        match rows {
            true => Shape { rows, quads: g.channels, kernel_width: g.kernel[1].div_ceil(4), dilation_x: 4 },
            false => {
                let quads = g.group_channels().div_ceil(4);
                Shape { rows, quads, kernel_width: g.kernel[1], dilation_x: g.dilation[1] }
            }
        }
    }
}

/// Whether texels of four channels do not straddle groups, and the packed operands of all three passes
/// stay within the device's texture size.
pub(crate) fn fits(profile: &DeviceProfile, geometry: &ConvGeometry) -> bool {
    let g = geometry;
    // Textures are made one larger than a power of two.
    let limit = profile.max_texture_size as usize - 1;
    // A tile reaches less than its own size beyond the image, and is no larger than the image.
    let reach = |axis: usize| {
        let outside = g.padding[axis] + (g.kernel[axis] - 1) * g.dilation[axis] + 2 * g.stride[axis];
        let beyond = (LARGE_TILE - 1).min(g.out[axis].max(g.size[axis]) - 1) * g.stride[axis];
        let outside = if g.kernel[axis] == 1 && g.padding[axis] == 0 && g.stride[axis] == 1 { 0 } else { outside };
        g.size[axis].max(g.out[axis]) + outside + beyond
    };
    let rows = if Shape::of(g).rows { 2 * g.channels } else { 1 };
    let quads = g.channels.max(g.filters).div_ceil(4).max(rows);
    let blocks = g.kernel[0] * g.kernel[1] * quads;
    let slots = g.batch + LARGE_TILE;
    let weights = g.group_channels().next_multiple_of(4) * g.filters.next_multiple_of(4) * g.kernel[0] * g.kernel[1];
    let whole_texels = g.groups == 1 || (g.group_channels().is_multiple_of(4) && g.group_filters().is_multiple_of(4));
    // The loops over taps count as well.
    whole_texels
        && blocks + g.kernel[0] * g.kernel[1] + g.stride[0] + g.stride[1] <= profile.max_loop_steps
        && quads * reach(1) <= limit
        && slots * reach(0) <= limit
        && weights.div_ceil(WEIGHT_ROW) <= limit
}

/// Sizes as the shaders count them.
pub(super) fn signed<const N: usize>(sizes: [(&'static str, usize); N]) -> [(&'static str, Argument); N] {
    sizes.map(|(name, size)| (name, Argument::I32(size as i32)))
}

/// The weights as texels of four result channels, one per reduction step: steps side by side.
pub(super) fn pack_weights(
    launch: &mut Launch<'_>,
    geometry: &ConvGeometry,
    shape: Shape,
    source: Operand,
    transposed: bool,
    steps: usize,
    quads: usize,
) -> Operand {
    let texels = steps * quads;
    let texture = launch.texture(WEIGHT_ROW.min(texels), texels.div_ceil(WEIGHT_ROW));
    let kernel = Kernel::new(&PACK_WEIGHTS)
        .constant("WEIGHT_ROW", WEIGHT_ROW)
        .arguments([
            ("groups", geometry.groups),
            ("channels", geometry.group_channels()),
            ("filters", geometry.group_filters()),
            ("kernel_height", geometry.kernel[0]),
            ("kernel_width", geometry.kernel[1]),
            ("steps", steps),
            ("step_channels", 4 * shape.quads),
            ("tap_columns", shape.kernel_width),
        ])
        .condition("transposed", transposed)
        .condition("rows", shape.rows)
        .specialise(is_specialised(geometry));
    launch.linear(kernel, texels, [("source", source), ("packed", texture)]);
    texture
}
