// Operands of the tile body for y = w * x + bias: rows are filters, columns output pixels, blocks
// (tap, four channels).
//
// A tile covers TILE_IMAGES x TILE_HEIGHT x TILE_WIDTH pixels; the packed image has zeros wherever a
// tile or a window reaches beyond it. Tiles run along pixels first, so lanes share their weights.

import package::constants::{BLOCKS, ROW_TILES, ROW_QUADS, WEIGHT_ROW, STEPS, QUADS, KERNEL_WIDTH};
import package::constants::{PADDED_HEIGHT, PADDED_WIDTH, TILE_IMAGES, TILE_HEIGHT, TILE_WIDTH};
import package::constants::{GRID_IMAGES, GRID_ROWS, GRID_COLUMNS, STRIDE_Y, STRIDE_X, DILATION_Y, DILATION_X};
import package::constants::{BATCH, CHANNELS, FIRST_CHANNEL, ALL_CHANNELS, HEIGHT, WIDTH};

@group(0) @binding(0) var image: texture_2d<f32>;
@group(0) @binding(1) var weights: texture_2d<f32>;
@if(bias) @group(0) @binding(2) var<storage, read> bias: array<f32>;
@if(bias) @group(0) @binding(3) var<storage, read_write> y: array<f32>;
@if(!bias) @group(0) @binding(2) var<storage, read_write> y: array<f32>;

struct Tile {
    // First image, row and column of output pixels.
    n: u32,
    y: u32,
    x: u32,
    // First texel of four filters.
    quad: u32,
    first_block: u32,
    end_block: u32,
}

fn tile_at(index: u32) -> Tile {
    let column = index % GRID_COLUMNS;
    let row = index / GRID_COLUMNS % GRID_ROWS;
    let n = index / (GRID_COLUMNS * GRID_ROWS) % GRID_IMAGES;
    let rows = index / (GRID_COLUMNS * GRID_ROWS * GRID_IMAGES);
    return Tile(n * TILE_IMAGES, row * TILE_HEIGHT, column * TILE_WIDTH, rows * ROW_QUADS, 0, BLOCKS);
}

fn is_idle(index: u32) -> bool {
    return false;
}

fn skips(tile: Tile, block: u32) -> bool {
    return false;
}

// Image, row and column of column j within a tile.
fn pixel_of(j: u32) -> vec3<u32> {
    return vec3(j / (TILE_HEIGHT * TILE_WIDTH), j / TILE_WIDTH % TILE_HEIGHT, j % TILE_WIDTH);
}

fn load_columns(tile: Tile, block: u32, j: u32) -> vec4<f32> {
    let tap = block / QUADS;
    let pixel = pixel_of(j);
    let column = (tile.x + pixel.z) * STRIDE_X + tap % KERNEL_WIDTH * DILATION_X;
    let row = (tile.y + pixel.y) * STRIDE_Y + tap / KERNEL_WIDTH * DILATION_Y;
    return textureLoad(image, vec2(block % QUADS * PADDED_WIDTH + column, (tile.n + pixel.x) * PADDED_HEIGHT + row), 0);
}

fn load_rows(tile: Tile, block: u32, step: u32, q: u32) -> vec4<f32> {
    let texel = (tile.quad + q) * STEPS + 4 * block + step;
    return textureLoad(weights, vec2(texel % WEIGHT_ROW, texel / WEIGHT_ROW), 0);
}

fn store(tile: Tile, q: u32, j: u32, sums: vec4<f32>) {
    let pixel = pixel_of(j);
    let n = tile.n + pixel.x;
    let row = tile.y + pixel.y;
    let column = tile.x + pixel.z;
    if (n >= BATCH || row >= HEIGHT || column >= WIDTH) {
        return;
    }
    for (var i = 0u; i < 4; i++) {
        let channel = 4 * (tile.quad + q) + i;
        if (channel < CHANNELS) {
            var value = sums[i];
            @if(bias) {
                value += bias[channel];
            }
            y[((n * ALL_CHANNELS + FIRST_CHANNEL + channel) * HEIGHT + row) * WIDTH + column] = value;
        }
    }
}
