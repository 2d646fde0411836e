// Operands of the tile body for dw = dy * x^T: rows are filters, columns (tap, channel), blocks
// output pixels of all images; one part of the invocations sums BLOCKS of them.
//
// With `rows`, the four channels of a texel are four neighbours of a row: column 4 * tap column + i
// of the kernel.

import package::constants::{BLOCKS, ALL_BLOCKS, ROW_TILES, ROW_QUADS, COLUMN_TILES, COLUMN_TEXELS, COLUMN_QUADS};
import package::constants::{QUADS, TAP_COLUMNS, KERNEL_HEIGHT, KERNEL_WIDTH, OUT_HEIGHT, OUT_WIDTH};
import package::constants::{PADDED_HEIGHT, PADDED_WIDTH, STRIDE_Y, STRIDE_X, DILATION_Y, DILATION_X};
import package::constants::{CHANNELS, FILTERS};

@group(0) @binding(0) var image: texture_2d<f32>;
@group(0) @binding(1) var gradient: texture_2d<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

struct Tile {
    // First texel of four filters, and of four columns.
    quad: u32,
    column_quad: u32,
    part: u32,
    first_block: u32,
    end_block: u32,
}

fn tile_at(index: u32) -> Tile {
    let column = index % COLUMN_TILES;
    let row = index / COLUMN_TILES % ROW_TILES;
    let part = index / (COLUMN_TILES * ROW_TILES);
    let first = part * BLOCKS;
    return Tile(row * ROW_QUADS, column * COLUMN_TEXELS, part, first, min(first + BLOCKS, ALL_BLOCKS));
}

fn is_idle(index: u32) -> bool {
    return false;
}

fn skips(tile: Tile, block: u32) -> bool {
    return false;
}

// Tap row, tap column and texel of channels of a column.
fn meaning_of(column_quad: u32) -> vec3<u32> {
    let tap = column_quad / QUADS;
    return vec3(tap / TAP_COLUMNS, tap % TAP_COLUMNS, column_quad % QUADS);
}

fn load_columns(tile: Tile, block: u32, j: u32) -> vec4<f32> {
    // Columns beyond the last repeat it; they are not stored.
    let column = meaning_of(min(tile.column_quad + j, COLUMN_QUADS - 1));
    let x = block % OUT_WIDTH * STRIDE_X + column.y * DILATION_X;
    let y = block / OUT_WIDTH % OUT_HEIGHT * STRIDE_Y + column.x * DILATION_Y;
    let n = block / (OUT_WIDTH * OUT_HEIGHT);
    return textureLoad(image, vec2(column.z * PADDED_WIDTH + x, n * PADDED_HEIGHT + y), 0);
}

fn load_rows(tile: Tile, block: u32, step: u32, q: u32) -> vec4<f32> {
    let quad = min(tile.quad + q, (FILTERS - 1) / 4);
    return textureLoad(gradient, vec2(quad * OUT_WIDTH + block % OUT_WIDTH, block / OUT_WIDTH), 0);
}

fn store(tile: Tile, q: u32, j: u32, sums: vec4<f32>) {
    let column = meaning_of(tile.column_quad + j / 4);
    @if(rows) let channel = column.z;
    @if(rows) let kx = 4 * column.y + j % 4;
    @if(!rows) let channel = 4 * column.z + j % 4;
    @if(!rows) let kx = column.y;
    if (tile.column_quad + j / 4 >= COLUMN_QUADS || channel >= CHANNELS || kx >= KERNEL_WIDTH) {
        return;
    }
    for (var i = 0u; i < 4; i++) {
        let k = 4 * (tile.quad + q) + i;
        if (k < FILTERS) {
            let element = ((k * CHANNELS + channel) * KERNEL_HEIGHT + column.x) * KERNEL_WIDTH + kx;
            dw[tile.part * (FILTERS * CHANNELS * KERNEL_HEIGHT * KERNEL_WIDTH) + element] = sums[i];
        }
    }
}
