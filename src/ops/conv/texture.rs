//! Convolution for CPU adapters: operands are packed into textures, four channels a texel, whose
//! loads are cheap there (docs/decisions/0002-texture-operands.md); one tile body then keeps up to 16 x 16
//! sums an invocation in registers.
//!
//! In all three passes a row of the tile is a channel of the result and a step is one element of the
//! reduction. Forward and input gradient: columns are pixels, and one texel of the image holds four
//! steps. Weight gradient: columns are (tap, channel) pairs, and one texel holds four columns.

use super::ConvGeometry;
use super::part::Part;
use crate::ops::reduce::sum_parts;
use crate::plan::{Argument, Binding, DeviceProfile, Kernel, Launch, MAX_LOOP_STEPS, Operand};

/// Rows and columns of the largest register tile, and of the one for small problems, which compiles
/// in a fraction of the time.
const LARGE_TILE: usize = 16;
const SMALL_TILE: usize = 8;

/// Multiply-adds below which the small tile is used.
const SMALL_PROBLEM: u64 = 20_000_000;

/// Invocations of a workgroup: one vector register of lanes, so that few tiles spread over the cores.
const WORKGROUP: u32 = 8;

/// Texels in a row of the packed weights, a power of two.
const WEIGHT_ROW: usize = 4096;

/// Images as a texture: `quads` of channels side by side, images below each other, zeros around.
#[derive(Clone, Copy)]
struct Packed {
    images: usize,
    /// Channels that are packed, the first of them, and all that the buffer [images, channels, height,
    /// width] holds.
    channels: usize,
    first_channel: usize,
    all_channels: usize,
    size: [usize; 2],
    /// Zeros above and to the left.
    border: [usize; 2],
    /// Height and width with the borders.
    padded: [usize; 2],
    /// Image slots, at least `images`.
    slots: usize,
    /// A texel holds four neighbours of a row instead of four channels.
    rows: bool,
}

impl Packed {
    fn quads(&self) -> usize {
        if self.rows { self.channels } else { self.channels.div_ceil(4) }
    }

    fn width(&self) -> usize {
        self.quads() * self.padded[1]
    }

    fn height(&self) -> usize {
        self.slots * self.padded[0]
    }

    fn pack(&self, launch: &mut Launch<'_>, source: Operand) -> Operand {
        let texture = launch.texture(self.width(), self.height());
        let kernel = Kernel::new("conv/pack_pixels")
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
            ]))
            .condition("rows", self.rows);
        launch.linear(kernel, self.width() * self.height(), [source.read(), texture.write()]);
        texture
    }
}

/// A convolution as the tile body sees it: images of few channels take four neighbours of a row as
/// channels, so that texels are full and the kernel is a quarter as wide.
#[derive(Clone, Copy)]
struct Shape {
    rows: bool,
    /// Texels of channels at one pixel.
    quads: usize,
    kernel_width: usize,
    dilation_x: usize,
}

impl Shape {
    fn of(g: &ConvGeometry) -> Shape {
        let rows = g.channels < 3 && g.dilation[1] == 1 && g.kernel[1] > 1;
        match rows {
            true => Shape { rows, quads: g.channels, kernel_width: g.kernel[1].div_ceil(4), dilation_x: 4 },
            false => {
                Shape { rows, quads: g.channels.div_ceil(4), kernel_width: g.kernel[1], dilation_x: g.dilation[1] }
            }
        }
    }
}

/// Whether the packed operands of all three passes stay within the device's texture size.
pub(super) fn fits(profile: &DeviceProfile, geometry: &ConvGeometry) -> bool {
    let g = geometry;
    let limit = profile.max_texture_size as usize;
    // A tile reaches less than its own size beyond the image, and is no larger than the image.
    let reach = |axis: usize| {
        let outside = g.padding[axis] + (g.kernel[axis] - 1) * g.dilation[axis] + 2 * g.stride[axis];
        let beyond = (LARGE_TILE - 1).min(g.out[axis].max(g.size[axis]) - 1) * g.stride[axis];
        let outside = if g.kernel[axis] == 1 && g.padding[axis] == 0 && g.stride[axis] == 1 { 0 } else { outside };
        g.size[axis].max(g.out[axis]) + outside + beyond
    };
    let quads = g.channels.max(g.filters).div_ceil(4);
    let blocks = g.kernel[0] * g.kernel[1] * quads;
    let slots = g.batch + LARGE_TILE;
    let weights = g.channels.next_multiple_of(4) * g.filters.next_multiple_of(4) * g.kernel[0] * g.kernel[1];
    blocks <= profile.max_loop_steps
        && quads * reach(1) <= limit
        && slots * reach(0) <= limit
        && weights.div_ceil(WEIGHT_ROW) <= limit
}

/// Pixels that a tile covers, at most `columns` of them.
#[derive(Clone, Copy)]
struct PixelTile {
    /// Images, rows and columns of pixels.
    size: [usize; 3],
    columns: usize,
    /// Tiles over images, rows and columns.
    grid: [usize; 3],
}

impl PixelTile {
    /// The least waste, loads of rows that a narrow tile spreads over few columns included. Few widths
    /// are tried, since each is a pipeline of its own.
    fn of(largest: usize, images: usize, [height, width]: [usize; 2]) -> PixelTile {
        let mut best = (PixelTile { size: [1; 3], columns: largest, grid: [images, height, width] }, f64::MAX);
        for columns in [largest, largest / 2, largest / 4] {
            for x in 1..=columns.min(width) {
                for y in 1..=(columns / x).min(height) {
                    let n = (columns / (x * y)).min(images);
                    let grid = [images.div_ceil(n), height.div_ceil(y), width.div_ceil(x)];
                    let cost = (grid.iter().product::<usize>() * columns) as f64 * (1.0 + 4.0 / columns as f64);
                    if cost < best.1 {
                        best = (PixelTile { size: [n, y, x], columns, grid }, cost);
                    }
                }
            }
        }
        best.0
    }

    fn tiles(&self) -> usize {
        self.grid.iter().product()
    }

    /// Pixels along (height, width) that the tiles reach over.
    fn reach(&self) -> [usize; 2] {
        [self.grid[1] * self.size[1], self.grid[2] * self.size[2]]
    }

    fn arguments(&self) -> [(&'static str, Argument); 6] {
        signed([
            ("tile_images", self.size[0]),
            ("tile_height", self.size[1]),
            ("tile_width", self.size[2]),
            ("grid_images", self.grid[0]),
            ("grid_rows", self.grid[1]),
            ("grid_columns", self.grid[2]),
        ])
    }
}

/// Sizes as the shaders count them.
fn signed<const N: usize>(sizes: [(&'static str, usize); N]) -> [(&'static str, Argument); N] {
    sizes.map(|(name, size)| (name, Argument::I32(size as i32)))
}

/// Texels of four channels in a tile, of `quads` in all: the least waste, loads of the other side that
/// a small tile spreads over few channels included.
fn tile_quads(quads: usize, largest: usize) -> usize {
    let cost = |size: &usize| (quads.next_multiple_of(*size) as f64 * (1.0 + 0.5 / *size as f64) * 8.0) as usize;
    [4, 2, 1].into_iter().filter(|&size| size <= largest / 4).min_by_key(cost).unwrap_or(1)
}

fn tile_size(geometry: &ConvGeometry) -> usize {
    if geometry.multiply_adds() < SMALL_PROBLEM { SMALL_TILE } else { LARGE_TILE }
}

/// The weights as texels of four result channels, one a reduction step: steps side by side.
fn pack_weights(
    launch: &mut Launch<'_>,
    geometry: &ConvGeometry,
    shape: Shape,
    source: Binding,
    transposed: bool,
    steps: usize,
    quads: usize,
) -> Operand {
    let texels = steps * quads;
    let texture = launch.texture(WEIGHT_ROW.min(texels), texels.div_ceil(WEIGHT_ROW));
    let kernel = Kernel::new("conv/pack_weights")
        .constant("WEIGHT_ROW", WEIGHT_ROW)
        .arguments([
            ("channels", geometry.channels),
            ("filters", geometry.filters),
            ("kernel_height", geometry.kernel[0]),
            ("kernel_width", geometry.kernel[1]),
            ("steps", steps),
            ("step_channels", 4 * if transposed { geometry.filters.div_ceil(4) } else { shape.quads }),
            ("tap_columns", shape.kernel_width),
        ])
        .condition("transposed", transposed)
        .condition("rows", shape.rows);
    launch.linear(kernel, texels, [source, texture.write()]);
    texture
}

pub(super) fn forward(launch: &mut Launch<'_>, part: &Part) {
    let g = &part.geometry;
    let shape = Shape::of(g);
    let largest = tile_size(g);
    let tile = PixelTile::of(largest, g.batch, g.out);
    let reach = tile.reach();
    let rows = tile_quads(g.filters.div_ceil(4), largest);
    let image = Packed {
        images: g.batch,
        channels: g.channels,
        first_channel: 0,
        all_channels: g.channels,
        size: g.size,
        border: g.padding,
        padded: [
            (reach[0] - 1) * g.stride[0] + (g.kernel[0] - 1) * g.dilation[0] + 1,
            (reach[1] - 1) * g.stride[1] + (shape.kernel_width - 1) * shape.dilation_x + 1,
        ],
        slots: tile.grid[0] * tile.size[0],
        rows: shape.rows,
    };
    let pixels = image.pack(launch, Operand::Input(0));
    let steps = g.kernel[0] * shape.kernel_width * shape.quads * 4;
    let row_tiles = g.filters.div_ceil(4).div_ceil(rows);
    let weights = pack_weights(launch, g, shape, part.weight(Operand::Input(1).read()), false, steps, row_tiles * rows);

    let bias = launch.inputs() == 3;
    let kernel = tile_kernel("conv/texture_forward", rows, tile.columns, 4)
        .constant("WEIGHT_ROW", WEIGHT_ROW as i32)
        .arguments(tile.arguments())
        .arguments(signed([
            ("quads", image.quads()),
            ("padded_height", image.padded[0]),
            ("padded_width", image.padded[1]),
            ("blocks", steps / 4),
            ("steps", steps),
            ("kernel_width", shape.kernel_width),
            ("stride_y", g.stride[0]),
            ("stride_x", g.stride[1]),
            ("dilation_y", g.dilation[0]),
            ("dilation_x", shape.dilation_x),
            ("batch", g.batch),
            ("channels", g.filters),
            ("first_channel", part.first_filter),
            ("all_channels", part.all_filters),
            ("height", g.out[0]),
            ("width", g.out[1]),
        ]))
        .condition("bias", bias);
    let mut bindings = vec![pixels.read(), weights.read()];
    bindings.extend(bias.then(|| part.bias()));
    bindings.push(Operand::Output(0).write());
    launch.linear_by(WORKGROUP, kernel, tile.tiles() * row_tiles, bindings);
}

pub(super) fn input_gradient(launch: &mut Launch<'_>, part: &Part, dx: Binding) {
    let g = &part.geometry;
    let largest = tile_size(g);
    // The inputs of one residue class modulo the stride meet the same taps; each class is a grid of
    // its own, in which neighbours are a stride apart.
    let class: [usize; 2] = std::array::from_fn(|axis| g.size[axis].div_ceil(g.stride[axis]));
    let tile = PixelTile::of(largest, g.batch, class);
    let rows = tile_quads(g.channels.div_ceil(4), largest);
    // Output o = q + (residue + padding - tap * dilation) / stride, which may start below 0.
    let border: [usize; 2] = std::array::from_fn(|axis| {
        ((g.kernel[axis] - 1) * g.dilation[axis]).saturating_sub(g.padding[axis]).div_ceil(g.stride[axis])
    });
    let image = Packed {
        images: g.batch,
        channels: g.filters,
        first_channel: part.first_filter,
        all_channels: part.all_filters,
        size: g.out,
        border,
        padded: std::array::from_fn(|axis| {
            border[axis] + tile.reach()[axis] + g.padding[axis].div_ceil(g.stride[axis])
        }),
        slots: tile.grid[0] * tile.size[0],
        rows: false,
    };
    let pixels = image.pack(launch, Operand::Input(0));
    let shape = Shape { rows: false, quads: 0, kernel_width: g.kernel[1], dilation_x: g.dilation[1] };
    let steps = g.kernel[0] * g.kernel[1] * image.quads() * 4;
    let row_tiles = g.channels.div_ceil(4).div_ceil(rows);
    let weights = pack_weights(launch, g, shape, part.weight(Operand::Input(1).read()), true, steps, row_tiles * rows);

    // Taps that meet one residue are so far apart, and move the output they meet by `shift`.
    let common: [usize; 2] = std::array::from_fn(|axis| greatest_common_divisor(g.stride[axis], g.dilation[axis]));
    let tap_step: [usize; 2] = std::array::from_fn(|axis| g.stride[axis] / common[axis]);
    let shift: [usize; 2] = std::array::from_fn(|axis| g.dilation[axis] / common[axis]);
    let tiles = tile.tiles() * row_tiles;
    // Whole workgroups a class, so that the taps are the same for all lanes of one.
    let class_invocations = tiles.next_multiple_of(WORKGROUP as usize);
    let kernel = tile_kernel("conv/texture_input_gradient", rows, tile.columns, 4)
        .constant("WEIGHT_ROW", WEIGHT_ROW as i32)
        .arguments(tile.arguments())
        .arguments(signed([
            ("quads", image.quads()),
            ("padded_height", image.padded[0]),
            ("padded_width", image.padded[1]),
            ("steps", steps),
            ("batch", g.batch),
            ("channels", g.channels),
            ("height", g.size[0]),
            ("width", g.size[1]),
            ("kernel_height", g.kernel[0]),
            ("kernel_width", g.kernel[1]),
            ("stride_y", g.stride[0]),
            ("stride_x", g.stride[1]),
            ("padding_y", g.padding[0]),
            ("padding_x", g.padding[1]),
            ("dilation_y", g.dilation[0]),
            ("dilation_x", g.dilation[1]),
            ("border_y", border[0]),
            ("border_x", border[1]),
            ("tap_step_y", tap_step[0]),
            ("tap_step_x", tap_step[1]),
            ("shift_y", shift[0]),
            ("shift_x", shift[1]),
            ("tiles", tiles),
            ("class_invocations", class_invocations),
        ]));
    let bindings = [pixels.read(), weights.read(), dx];
    launch.linear_by(WORKGROUP, kernel, class_invocations * g.stride[0] * g.stride[1], bindings);
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

pub(super) fn weight_gradient(launch: &mut Launch<'_>, part: &Part) {
    let g = &part.geometry;
    let shape = Shape::of(g);
    let largest = tile_size(g);
    let image = Packed {
        images: g.batch,
        channels: g.channels,
        first_channel: 0,
        all_channels: g.channels,
        size: g.size,
        border: g.padding,
        padded: [
            (g.out[0] - 1) * g.stride[0] + (g.kernel[0] - 1) * g.dilation[0] + 1,
            (g.out[1] - 1) * g.stride[1] + (shape.kernel_width - 1) * shape.dilation_x + 1,
        ],
        slots: g.batch,
        rows: shape.rows,
    };
    let upstream = Packed {
        images: g.batch,
        channels: g.filters,
        first_channel: part.first_filter,
        all_channels: part.all_filters,
        size: g.out,
        border: [0, 0],
        padded: g.out,
        slots: g.batch,
        rows: false,
    };
    let pixels = image.pack(launch, Operand::Input(0));
    let dy = upstream.pack(launch, Operand::Input(1));

    let column_quads = g.kernel[0] * shape.kernel_width * shape.quads;
    let quads = tile_quads(column_quads, largest);
    let column_tiles = column_quads.div_ceil(quads);
    let rows = tile_quads(g.filters.div_ceil(4), largest);
    let row_tiles = g.filters.div_ceil(4).div_ceil(rows);
    let tiles = row_tiles * column_tiles;
    // Enough invocations for every core's lanes, each with an image's worth of pixels, and no loop too long.
    let pixels_of_all = g.batch * g.out[0] * g.out[1];
    let parts = 512usize.div_ceil(tiles).clamp(1, g.batch).min(part.most_splits(launch));
    let parts = parts.max(pixels_of_all.div_ceil(MAX_LOOP_STEPS));
    let blocks = pixels_of_all.div_ceil(parts);
    let parts = pixels_of_all.div_ceil(blocks);
    let kernel = tile_kernel("conv/texture_weight_gradient", rows, quads, 1)
        .arguments(signed([
            ("blocks", blocks),
            ("all_blocks", pixels_of_all),
            ("row_tiles", row_tiles),
            ("column_tiles", column_tiles),
            ("column_quads", column_quads),
            ("quads", shape.quads),
            ("tap_columns", shape.kernel_width),
            ("kernel_height", g.kernel[0]),
            ("kernel_width", g.kernel[1]),
            ("out_height", g.out[0]),
            ("out_width", g.out[1]),
            ("padded_height", image.padded[0]),
            ("padded_width", image.padded[1]),
            ("stride_y", g.stride[0]),
            ("stride_x", g.stride[1]),
            ("dilation_y", g.dilation[0]),
            ("dilation_x", shape.dilation_x),
            // From the last row of an image to the first of the next.
            ("next_image", image.padded[0] - (g.out[0] - 1) * g.stride[0]),
            ("channels", g.channels),
            ("filters", g.filters),
        ]))
        .condition("rows", shape.rows);
    let elements = part.weight_elements();
    let dw = part.weight(Operand::Output(0).write());
    let target = if parts == 1 { dw } else { launch.scratch(parts * elements).write() };
    launch.linear_by(WORKGROUP, kernel, tiles * parts, [pixels.read(), dy.read(), target]);
    if parts > 1 {
        sum_parts(launch, target.operand, elements, 1, elements, parts, dw);
    }
}

/// The tile body with `operands`' load and store functions: `row_quads` x 4 rows, `texels` texels of
/// columns, each of `steps` steps of the reduction for one column, or of one step for four columns.
fn tile_kernel(operands: &'static str, row_quads: usize, texels: usize, steps: usize) -> Kernel {
    Kernel::new("conv/texture_tile")
        .operands(operands)
        .constants([
            ("ROW_QUADS", row_quads as i32),
            ("COLUMN_TEXELS", texels as i32),
            ("TEXEL_COLUMNS", (4 / steps) as i32),
            ("TEXEL_STEPS", steps as i32),
        ])
        .condition("steps_in_texel", steps == 4)
}
