//! Convolution for CPU adapters: operands are packed into textures, four channels per texel, whose
//! loads are cheap there (docs/decisions/0002-texture-operands.md); one tile body then keeps up to 16 x 16
//! sums per invocation in registers.
//!
//! In all three passes a row of the tile is a channel of the result and a step is one element of the
//! reduction. Forward and input gradient: columns are pixels, and one texel of the image holds four
//! steps. Weight gradient: columns are (tap, channel) pairs, and one texel holds four columns. A tile lies
//! within one group, and begins to read at its group's channels.

mod pack;
mod tile;

use self::pack::{Packed, Shape, WEIGHT_ROW, pack_weights, signed};
use self::tile::{PixelTile, Texel, group_tile_quads, is_specialised, tile_kernel, tile_quads};
use super::part::Part;
use super::split::Split;
use crate::kernel::{Launch, MAX_LOOP_STEPS, Operand, Shader, read, read_texture, write};

pub(super) use self::pack::fits;
pub(super) use self::tile::{TILES, tile_size};

static FORWARD: Shader = Shader::new(
    "conv/texture_forward",
    &[read_texture("image"), read_texture("weights"), read("bias").when("bias"), write("y")],
);
static INPUT_GRADIENT: Shader =
    Shader::new("conv/texture_input_gradient", &[read_texture("gradient"), read_texture("weights"), write("dx")]);
static WEIGHT_GRADIENT: Shader =
    Shader::new("conv/texture_weight_gradient", &[read_texture("image"), read_texture("gradient"), write("dw")]);

/// Invocations of a workgroup: one vector register of lanes, so that few tiles spread over the cores.
const WORKGROUP: u32 = 8;

pub(super) fn forward(launch: &mut Launch<'_>, part: &Part, largest: usize) {
    let g = &part.geometry;
    let shape = Shape::of(g);
    let tile = PixelTile::of(largest, g.batch, g.out);
    let rows = group_tile_quads(g.filters, g.groups, largest);
    let image = Packed::windows(g, shape, tile.reach(), tile.grid[0] * tile.size[0]).with_ends(g);
    let pixels = image.pack(launch, Operand::input(0));
    let steps = g.kernel[0] * shape.kernel_width * shape.quads * 4;
    let row_tiles = g.filters.div_ceil(4).div_ceil(rows);
    let weights = pack_weights(launch, g, shape, part.weight(Operand::input(1)), false, steps, row_tiles * rows);

    let bias = launch.inputs() == 3;
    let kernel = tile_kernel(&FORWARD, rows, tile.columns(), Texel::Steps)
        .specialise(is_specialised(g))
        .constant("WEIGHT_ROW", WEIGHT_ROW as i32)
        .constants(tile.constants())
        .arguments(tile.arguments())
        .arguments(signed([
            ("group_quads", g.group_filters().div_ceil(4)),
            ("quads", shape.quads),
            ("padded_height", image.padded[0]),
            ("padded_width", image.padded[1]),
            ("steps", steps),
            ("kernel_height", g.kernel[0]),
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
        .arguments(signed([("to_ends", image.ends_offset())]).into_iter().filter(|_| shape.rows))
        .condition("rows", shape.rows)
        .condition("bias", bias);
    let kernel = launch.epilogue(kernel);
    let mut operands = vec![("image", pixels), ("weights", weights), ("y", Operand::output(0))];
    operands.extend(bias.then(|| ("bias", part.bias(Operand::input(2)))));
    launch.linear_by(WORKGROUP, kernel, tile.tiles() * row_tiles, operands);
}

pub(super) fn input_gradient(launch: &mut Launch<'_>, part: &Part, dx: Operand, largest: usize) {
    let g = &part.geometry;
    // The inputs of one residue class modulo the stride meet the same taps; each class is a grid of
    // its own, in which neighbours are a stride apart.
    let class: [usize; 2] = std::array::from_fn(|axis| g.size[axis].div_ceil(g.stride[axis]));
    let tile = PixelTile::of(largest, g.batch, class);
    let rows = group_tile_quads(g.channels, g.groups, largest);
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
        last: 0,
    };
    let pixels = image.pack(launch, Operand::input(0));
    let quads = g.group_filters().div_ceil(4);
    let shape = Shape { rows: false, quads, kernel_width: g.kernel[1], dilation_x: g.dilation[1] };
    let steps = g.kernel[0] * g.kernel[1] * quads * 4;
    let row_tiles = g.channels.div_ceil(4).div_ceil(rows);
    let weights = pack_weights(launch, g, shape, part.weight(Operand::input(1)), true, steps, row_tiles * rows);

    // Taps that meet one residue are so far apart, and move the output they meet by `shift`.
    let common: [usize; 2] = std::array::from_fn(|axis| greatest_common_divisor(g.stride[axis], g.dilation[axis]));
    let tap_step: [usize; 2] = std::array::from_fn(|axis| g.stride[axis] / common[axis]);
    let shift: [usize; 2] = std::array::from_fn(|axis| g.dilation[axis] / common[axis]);
    let tiles = tile.tiles() * row_tiles;
    // Whole workgroups per class, so that the taps are the same for all lanes of one.
    let class_invocations = tiles.next_multiple_of(WORKGROUP as usize);
    let kernel = tile_kernel(&INPUT_GRADIENT, rows, tile.columns(), Texel::Steps)
        .specialise(is_specialised(g))
        .constant("WEIGHT_ROW", WEIGHT_ROW as i32)
        .constants(tile.constants())
        .arguments(tile.arguments())
        .arguments(signed([
            ("group_quads", g.group_channels().div_ceil(4)),
            ("quads", quads),
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
    let operands = [("gradient", pixels), ("weights", weights), ("dx", dx)];
    launch.linear_by(WORKGROUP, kernel, class_invocations * g.stride[0] * g.stride[1], operands);
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

pub(super) fn weight_gradient(launch: &mut Launch<'_>, part: &Part, db: Option<Operand>, largest: usize) {
    let g = &part.geometry;
    let shape = Shape::of(g);
    let image = Packed::windows(g, shape, g.out, g.batch);
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
        last: 0,
    };
    let pixels = image.pack(launch, Operand::input(0));
    let dy = match db {
        Some(db) => upstream.pack_and_sum(launch, Operand::input(1), db),
        None => upstream.pack(launch, Operand::input(1)),
    };

    let column_quads = g.kernel[0] * shape.kernel_width * shape.quads;
    let quads = tile_quads(column_quads, largest);
    let column_tiles = column_quads.div_ceil(quads);
    let rows = group_tile_quads(g.filters, g.groups, largest);
    let row_tiles = g.filters.div_ceil(4).div_ceil(rows);
    let tiles = row_tiles * column_tiles;
    // Enough invocations for every core's lanes, each with an image's worth of pixels, and no loop too long.
    let all_rows = g.batch * g.out[0];
    let parts = 512usize.div_ceil(tiles).clamp(1, g.batch).min(part.most_splits(launch.profile()));
    let vectors = g.out == [1, 1];
    // Two steps at once, where the runs have whole pairs of them.
    let run = if vectors { g.batch } else { g.out[1] };
    let at_once = if run.is_multiple_of(2) { 2 } else { 1 };
    let part_rows = all_rows.div_ceil(parts).min(MAX_LOOP_STEPS / (g.out[1] + 1));
    let part_rows = if vectors { part_rows.next_multiple_of(at_once) } else { part_rows };
    let parts = all_rows.div_ceil(part_rows);
    let kernel = tile_kernel(&WEIGHT_GRADIENT, rows, quads, Texel::Columns { at_once })
        .specialise(is_specialised(g))
        .arguments(signed([
            ("part_rows", part_rows),
            ("all_rows", all_rows),
            ("row_tiles", row_tiles),
            ("column_tiles", column_tiles),
            ("column_quads", column_quads),
            ("group_quads", g.group_filters().div_ceil(4)),
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
            ("channels", g.group_channels()),
            ("filters", g.filters),
        ]))
        .condition("rows", shape.rows)
        .condition("vectors", vectors);
    let elements = part.weight_elements();
    let dw = Split::new(launch, part.weight(Operand::output(0)), elements, parts);
    launch.linear_by(WORKGROUP, kernel, tiles * parts, [("image", pixels), ("gradient", dy), ("dw", dw.target)]);
    dw.merge(launch);
}
