// Operands of the tile body for dw = dy * x^T: rows are filters, columns (tap, channel), blocks
// output pixels of all images; one part of the invocations sums `blocks` of them.
//
// With `rows`, the four channels of a texel are four neighbours of a row: column 4 * tap column + i
// of the kernel.

import package::constants::{ROW_QUADS, COLUMN_TEXELS};
import package::arguments::arguments;

@group(0) @binding(0) var image: texture_2d<f32>;
@group(0) @binding(1) var gradient: texture_2d<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

struct Tile {
    // First texel of four filters, and of four columns.
    quad: i32,
    column_quad: i32,
    part: i32,
    // One beyond its last block.
    end: i32,
}

// Four columns: their number, tap row, tap column and texel of channels.
struct Column {
    index: i32,
    ky: i32,
    kx: i32,
    quad: i32,
}

struct Block {
    index: i32,
    x: i32,
    y: i32,
    // Row of the gradient, and of the packed image, counted over all images.
    row: i32,
    image_row: i32,
}

fn is_idle(index: i32) -> bool {
    return false;
}

fn tile_at(index: i32) -> Tile {
    let columns = arguments.column_tiles;
    let rows = arguments.row_tiles;
    let part = index / (columns * rows);
    return Tile(
        index / columns % rows * ROW_QUADS,
        index % columns * COLUMN_TEXELS,
        part,
        min((part + 1) * arguments.blocks, arguments.all_blocks),
    );
}

fn first_column(tile: Tile) -> Column {
    let tap = tile.column_quad / arguments.quads;
    let quad = tile.column_quad % arguments.quads;
    return Column(tile.column_quad, tap / arguments.tap_columns, tap % arguments.tap_columns, quad);
}

// Columns beyond the last repeat its place, and are not stored.
fn next_column(column: Column) -> Column {
    let index = column.index + 1;
    if (index >= arguments.column_quads) {
        return Column(index, column.ky, column.kx, column.quad);
    }
    let ends_tap = column.quad + 1 == arguments.quads;
    let ends_row = ends_tap && column.kx + 1 == arguments.tap_columns;
    let kx = select(column.kx, column.kx + 1, ends_tap);
    return Column(
        index,
        select(column.ky, column.ky + 1, ends_row),
        select(kx, 0, ends_row),
        select(column.quad + 1, 0, ends_tap),
    );
}

fn place_of(tile: Tile, column: Column) -> vec2<i32> {
    return vec2(
        column.quad * arguments.padded_width + column.kx * arguments.dilation_x,
        column.ky * arguments.dilation_y,
    );
}

fn first_block(tile: Tile) -> Block {
    let index = tile.part * arguments.blocks;
    let row = index / arguments.out_width;
    let y = row % arguments.out_height;
    let n = row / arguments.out_height;
    let image_row = n * arguments.padded_height + y * arguments.stride_y;
    return Block(index, index % arguments.out_width, y, row, image_row);
}

fn is_past(tile: Tile, block: Block) -> bool {
    return block.index >= tile.end;
}

fn next_block(tile: Tile, block: Block) -> Block {
    let ends_row = block.x + 1 == arguments.out_width;
    let ends_image = ends_row && block.y + 1 == arguments.out_height;
    let y = select(block.y, block.y + 1, ends_row);
    let skipped = select(arguments.stride_y, arguments.next_image, ends_image);
    return Block(
        block.index + 1,
        select(block.x + 1, 0, ends_row),
        select(y, 0, ends_image),
        select(block.row, block.row + 1, ends_row),
        select(block.image_row, block.image_row + skipped, ends_row),
    );
}

fn load_columns(block: Block, place: vec2<i32>) -> vec4<f32> {
    return textureLoad(image, place + vec2(block.x * arguments.stride_x, block.image_row), 0);
}

fn load_rows(tile: Tile, block: Block, step: i32, q: i32) -> vec4<f32> {
    let quad = min(tile.quad + q, (arguments.filters - 1) / 4);
    return textureLoad(gradient, vec2(quad * arguments.out_width + block.x, block.row), 0);
}

fn store(tile: Tile, column: Column, lane: i32, q: i32, sums: vec4<f32>) {
    @if(rows) let channel = column.quad;
    @if(rows) let kx = 4 * column.kx + lane;
    @if(!rows) let channel = 4 * column.quad + lane;
    @if(!rows) let kx = column.kx;
    if (column.index >= arguments.column_quads || channel >= arguments.channels || kx >= arguments.kernel_width) {
        return;
    }
    let taps = arguments.kernel_height * arguments.kernel_width;
    for (var i = 0; i < 4; i++) {
        let k = 4 * (tile.quad + q) + i;
        if (k < arguments.filters) {
            let filter_channel = (tile.part * arguments.filters + k) * arguments.channels + channel;
            dw[filter_channel * taps + column.ky * arguments.kernel_width + kx] = sums[i];
        }
    }
}
