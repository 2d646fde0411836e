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
use crate::plan::{Binding, DeviceProfile, Kernel, Launch, MAX_LOOP_STEPS, Operand};

/// Rows and columns of the largest register tile, and of the one for small problems, which compiles
/// in a fraction of the time.
const LARGE_TILE: usize = 16;
const SMALL_TILE: usize = 8;

/// Multiply-adds below which the small tile is used.
const SMALL_PROBLEM: u64 = 8_000_000;

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
            .constants([
                ("IMAGES", self.images as i32),
                ("CHANNELS", self.channels as i32),
                ("FIRST_CHANNEL", self.first_channel as i32),
                ("ALL_CHANNELS", self.all_channels as i32),
                ("HEIGHT", self.size[0] as i32),
                ("WIDTH", self.size[1] as i32),
                ("BORDER_Y", self.border[0] as i32),
                ("BORDER_X", self.border[1] as i32),
                ("PADDED_HEIGHT", self.padded[0] as i32),
                ("PADDED_WIDTH", self.padded[1] as i32),
                ("QUADS", self.quads() as i32),
            ])
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

/// How many images, rows and columns of pixels a tile covers.
fn pixel_tile(columns: usize, images: usize, size: [usize; 2]) -> [usize; 3] {
    let mut best = ([1, 1, 1], f64::MAX);
    for x in 1..=columns.min(size[1]) {
        for y in 1..=(columns / x).min(size[0]) {
            for n in 1..=(columns / (x * y)).min(images) {
                let covered = size[1].next_multiple_of(x) * size[0].next_multiple_of(y) * images.next_multiple_of(n);
                // Wasted work, and the loads of rows that a small tile spreads over few columns.
                let cost = covered as f64 * (1.0 + 4.0 / (x * y * n) as f64);
                if cost < best.1 {
                    best = ([n, y, x], cost);
                }
            }
        }
    }
    best.0
}

/// Rows of a tile, in texels of four channels: the least waste.
fn row_quads(channels: usize, largest: usize) -> usize {
    let quads = channels.div_ceil(4);
    let tiles = quads.div_ceil(largest / 4);
    quads.div_ceil(tiles)
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
        .constants([
            ("CHANNELS", geometry.channels),
            ("FILTERS", geometry.filters),
            ("KERNEL_HEIGHT", geometry.kernel[0]),
            ("KERNEL_WIDTH", geometry.kernel[1]),
            ("WEIGHT_ROW", WEIGHT_ROW),
            ("STEPS", steps),
            ("STEP_CHANNELS", 4 * if transposed { geometry.filters.div_ceil(4) } else { shape.quads }),
            ("TAP_COLUMNS", shape.kernel_width),
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
    let [tn, ty, tx] = pixel_tile(largest, g.batch, g.out);
    let rows = row_quads(g.filters, largest);
    let grid = [g.batch.div_ceil(tn), g.out[0].div_ceil(ty), g.out[1].div_ceil(tx)];
    let image = Packed {
        images: g.batch,
        channels: g.channels,
        first_channel: 0,
        all_channels: g.channels,
        size: g.size,
        border: g.padding,
        padded: [
            (grid[1] * ty - 1) * g.stride[0] + (g.kernel[0] - 1) * g.dilation[0] + 1,
            (grid[2] * tx - 1) * g.stride[1] + (shape.kernel_width - 1) * shape.dilation_x + 1,
        ],
        slots: grid[0] * tn,
        rows: shape.rows,
    };
    let pixels = image.pack(launch, Operand::Input(0));
    let steps = g.kernel[0] * shape.kernel_width * shape.quads * 4;
    let row_tiles = g.filters.div_ceil(4).div_ceil(rows);
    let weights = pack_weights(launch, g, shape, part.weight(Operand::Input(1).read()), false, steps, row_tiles * rows);

    let bias = launch.inputs() == 3;
    let kernel = tile_kernel("conv/texture_forward", rows, tn * ty * tx, 4)
        .constants(pixel_constants(&image, [tn, ty, tx], grid))
        .constants([
            ("BLOCKS", steps / 4),
            ("ROW_TILES", row_tiles),
            ("WEIGHT_ROW", WEIGHT_ROW),
            ("STEPS", steps),
            ("KERNEL_WIDTH", shape.kernel_width),
            ("STRIDE_Y", g.stride[0]),
            ("STRIDE_X", g.stride[1]),
            ("DILATION_Y", g.dilation[0]),
            ("DILATION_X", shape.dilation_x),
            ("BATCH", g.batch),
            ("CHANNELS", g.filters),
            ("FIRST_CHANNEL", part.first_filter),
            ("ALL_CHANNELS", part.all_filters),
            ("HEIGHT", g.out[0]),
            ("WIDTH", g.out[1]),
        ])
        .condition("bias", bias);
    let mut bindings = vec![pixels.read(), weights.read()];
    bindings.extend(bias.then(|| part.bias()));
    bindings.push(Operand::Output(0).write());
    launch.linear_by(WORKGROUP, kernel, grid.iter().product::<usize>() * row_tiles, bindings);
}

pub(super) fn input_gradient(launch: &mut Launch<'_>, part: &Part, dx: Binding) {
    let g = &part.geometry;
    let largest = tile_size(g);
    // The inputs of one residue class modulo the stride meet the same taps; each class is a grid of
    // its own, in which neighbours are a stride apart.
    let class: [usize; 2] = std::array::from_fn(|axis| g.size[axis].div_ceil(g.stride[axis]));
    let [tn, ty, tx] = pixel_tile(largest, g.batch, class);
    let rows = row_quads(g.channels, largest);
    let grid = [g.batch.div_ceil(tn), class[0].div_ceil(ty), class[1].div_ceil(tx)];
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
            let reach = [grid[1] * ty, grid[2] * tx][axis];
            border[axis] + reach + g.padding[axis].div_ceil(g.stride[axis])
        }),
        slots: grid[0] * tn,
        rows: false,
    };
    let pixels = image.pack(launch, Operand::Input(0));
    let shape = Shape { rows: false, quads: 0, kernel_width: g.kernel[1], dilation_x: g.dilation[1] };
    let steps = g.kernel[0] * g.kernel[1] * image.quads() * 4;
    let row_tiles = g.channels.div_ceil(4).div_ceil(rows);
    let weights = pack_weights(launch, g, shape, part.weight(Operand::Input(1).read()), true, steps, row_tiles * rows);

    let classes = g.stride[0] * g.stride[1];
    let kernel = tile_kernel("conv/texture_input_gradient", rows, tn * ty * tx, 4)
        .constants(pixel_constants(&image, [tn, ty, tx], grid))
        .constants([
            ("BLOCKS", steps / 4),
            ("ROW_TILES", row_tiles),
            ("WEIGHT_ROW", WEIGHT_ROW),
            ("STEPS", steps),
            ("BATCH", g.batch),
            ("CHANNELS", g.channels),
            ("HEIGHT", g.size[0]),
            ("WIDTH", g.size[1]),
        ])
        .constants([
            ("KERNEL_WIDTH", g.kernel[1] as i32),
            ("STRIDE_Y", g.stride[0] as i32),
            ("STRIDE_X", g.stride[1] as i32),
            ("PADDING_Y", g.padding[0] as i32),
            ("PADDING_X", g.padding[1] as i32),
            ("DILATION_Y", g.dilation[0] as i32),
            ("DILATION_X", g.dilation[1] as i32),
            ("BORDER_Y", border[0] as i32),
            ("BORDER_X", border[1] as i32),
        ]);
    let bindings = [pixels.read(), weights.read(), dx];
    let tiles = grid.iter().product::<usize>() * row_tiles;
    // Whole workgroups a class, so that its taps are the same for all lanes of one.
    let tiles_of_class = tiles.next_multiple_of(WORKGROUP as usize);
    let kernel = kernel.constants([("TILES", tiles), ("CLASS_INVOCATIONS", tiles_of_class)]);
    launch.linear_by(WORKGROUP, kernel, tiles_of_class * classes, bindings);
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
    let quads = column_quads.div_ceil(column_quads.div_ceil(largest / 4));
    let column_tiles = column_quads.div_ceil(quads);
    let rows = row_quads(g.filters, largest);
    let row_tiles = g.filters.div_ceil(4).div_ceil(rows);
    let tiles = row_tiles * column_tiles;
    // Enough invocations for every core's lanes, each with an image's worth of pixels, and no loop too long.
    let pixels_of_all = g.batch * g.out[0] * g.out[1];
    let parts = 512usize.div_ceil(tiles).clamp(1, g.batch).min(part.most_splits(launch));
    let parts = parts.max(pixels_of_all.div_ceil(MAX_LOOP_STEPS));
    let blocks = pixels_of_all.div_ceil(parts);
    let parts = pixels_of_all.div_ceil(blocks);
    let kernel = tile_kernel("conv/texture_weight_gradient", rows, quads * 4, 1)
        .constants([
            ("BLOCKS", blocks),
            ("ALL_BLOCKS", pixels_of_all),
            ("ROW_TILES", row_tiles),
            ("COLUMN_TILES", column_tiles),
            ("COLUMN_QUADS", column_quads),
            ("QUADS", shape.quads),
            ("TAP_COLUMNS", shape.kernel_width),
            ("KERNEL_HEIGHT", g.kernel[0]),
            ("KERNEL_WIDTH", g.kernel[1]),
            ("OUT_HEIGHT", g.out[0]),
            ("OUT_WIDTH", g.out[1]),
            ("PADDED_HEIGHT", image.padded[0]),
            ("PADDED_WIDTH", image.padded[1]),
            ("STRIDE_Y", g.stride[0]),
            ("STRIDE_X", g.stride[1]),
            ("DILATION_Y", g.dilation[0]),
            ("DILATION_X", shape.dilation_x),
            ("CHANNELS", g.channels),
            ("FILTERS", g.filters),
        ])
        .condition("rows", shape.rows);
    let elements = part.weight_elements();
    let dw = part.weight(Operand::Output(0).write());
    let target = if parts == 1 { dw } else { launch.scratch(parts * elements).write() };
    launch.linear_by(WORKGROUP, kernel, tiles * parts, [pixels.read(), dy.read(), target]);
    if parts > 1 {
        sum_parts(launch, target.operand, elements, 1, elements, parts, dw);
    }
}

/// The tile body with `operands`' load and store functions: `row_quads` x 4 rows, `columns` columns,
/// `steps` steps of the reduction in one texel of the columns.
fn tile_kernel(operands: &'static str, row_quads: usize, columns: usize, steps: usize) -> Kernel {
    Kernel::new("conv/texture_tile")
        .operands(operands)
        .constants([
            ("ROW_QUADS", row_quads),
            ("COLUMNS", columns),
            ("COLUMN_TEXELS", if steps == 4 { columns } else { columns / 4 }),
            ("BLOCK_STEPS", steps),
            ("SUMS", row_quads * columns),
        ])
        .condition("steps_in_texel", steps == 4)
}

fn pixel_constants(image: &Packed, tile: [usize; 3], grid: [usize; 3]) -> [(&'static str, usize); 9] {
    [
        ("QUADS", image.quads()),
        ("PADDED_HEIGHT", image.padded[0]),
        ("PADDED_WIDTH", image.padded[1]),
        ("TILE_IMAGES", tile[0]),
        ("TILE_HEIGHT", tile[1]),
        ("TILE_WIDTH", tile[2]),
        ("GRID_IMAGES", grid[0]),
        ("GRID_ROWS", grid[1]),
        ("GRID_COLUMNS", grid[2]),
    ]
}
