// Operands of the tile body for dx = w^T * dy: rows are channels, columns input pixels, blocks (tap,
// four filters).
//
// Input pixel i = q * stride + residue meets output q + (residue + padding - tap * dilation) / stride,
// where that divides. All pixels of a tile have one residue, so a tap either counts for all of them
// or is skipped. The packed gradient has BORDER zeros before it, and enough after it.

import package::constants::{BLOCKS, ROW_TILES, ROW_QUADS, WEIGHT_ROW, STEPS, QUADS, KERNEL_WIDTH};
import package::constants::{PADDED_HEIGHT, PADDED_WIDTH, TILE_IMAGES, TILE_HEIGHT, TILE_WIDTH};
import package::constants::{GRID_IMAGES, GRID_ROWS, GRID_COLUMNS, STRIDE_Y, STRIDE_X, DILATION_Y, DILATION_X};
import package::constants::{BATCH, CHANNELS, HEIGHT, WIDTH, PADDING_Y, PADDING_X, BORDER_Y, BORDER_X};
import package::constants::{TILES, CLASS_INVOCATIONS};

@group(0) @binding(0) var gradient: texture_2d<f32>;
@group(0) @binding(1) var weights: texture_2d<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

struct Tile {
    // First image, row and column, the latter two in strides.
    n: u32,
    y: i32,
    x: i32,
    residue_y: i32,
    residue_x: i32,
    // First texel of four channels.
    quad: u32,
    first_block: u32,
    end_block: u32,
}

fn tile_at(invocation: u32) -> Tile {
    let residue = i32(invocation / CLASS_INVOCATIONS);
    let index = invocation % CLASS_INVOCATIONS;
    let column = index % GRID_COLUMNS;
    let row = index / GRID_COLUMNS % GRID_ROWS;
    let n = index / (GRID_COLUMNS * GRID_ROWS) % GRID_IMAGES;
    let rows = index / (GRID_COLUMNS * GRID_ROWS * GRID_IMAGES);
    return Tile(
        n * TILE_IMAGES,
        i32(row * TILE_HEIGHT),
        i32(column * TILE_WIDTH),
        residue / STRIDE_X,
        residue % STRIDE_X,
        rows * ROW_QUADS,
        0,
        BLOCKS,
    );
}

fn is_idle(invocation: u32) -> bool {
    return invocation % CLASS_INVOCATIONS >= TILES;
}

// Distance from the pixel of residue 0 to the output it meets at a block's tap, times the stride.
fn reach(tile: Tile, block: u32) -> vec2<i32> {
    let tap = i32(block / QUADS);
    return vec2(
        tile.residue_x + PADDING_X - tap % KERNEL_WIDTH * DILATION_X,
        tile.residue_y + PADDING_Y - tap / KERNEL_WIDTH * DILATION_Y,
    );
}

fn skips(tile: Tile, block: u32) -> bool {
    let distance = reach(tile, block);
    return distance.x % STRIDE_X != 0 || distance.y % STRIDE_Y != 0;
}

// Image, row and column of column j within a tile.
fn pixel_of(j: u32) -> vec3<u32> {
    return vec3(j / (TILE_HEIGHT * TILE_WIDTH), j / TILE_WIDTH % TILE_HEIGHT, j % TILE_WIDTH);
}

fn load_columns(tile: Tile, block: u32, j: u32) -> vec4<f32> {
    let pixel = vec3<i32>(pixel_of(j));
    let distance = reach(tile, block);
    let column = tile.x + pixel.z + distance.x / STRIDE_X + BORDER_X;
    let row = tile.y + pixel.y + distance.y / STRIDE_Y + BORDER_Y;
    let quad = i32(block % QUADS);
    let image = i32(tile.n) + pixel.x;
    return textureLoad(gradient, vec2(quad * i32(PADDED_WIDTH) + column, image * i32(PADDED_HEIGHT) + row), 0);
}

fn load_rows(tile: Tile, block: u32, step: u32, q: u32) -> vec4<f32> {
    let texel = (tile.quad + q) * STEPS + 4 * block + step;
    return textureLoad(weights, vec2(texel % WEIGHT_ROW, texel / WEIGHT_ROW), 0);
}

fn store(tile: Tile, q: u32, j: u32, sums: vec4<f32>) {
    let pixel = pixel_of(j);
    let n = tile.n + pixel.x;
    let row = u32((tile.y + i32(pixel.y)) * STRIDE_Y + tile.residue_y);
    let column = u32((tile.x + i32(pixel.z)) * STRIDE_X + tile.residue_x);
    if (n >= BATCH || row >= HEIGHT || column >= WIDTH) {
        return;
    }
    for (var i = 0u; i < 4; i++) {
        let channel = 4 * (tile.quad + q) + i;
        if (channel < CHANNELS) {
            dx[((n * CHANNELS + channel) * HEIGHT + row) * WIDTH + column] = sums[i];
        }
    }
}
