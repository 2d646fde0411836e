// Tiles of pixels, for the passes whose columns are pixels: a tile covers TILE_IMAGES x TILE_HEIGHT x
// TILE_WIDTH of them. Tiles run along pixels first, so that lanes share their weights.

import package::constants::{ROW_QUADS, WEIGHT_ROW, TILE_IMAGES, TILE_HEIGHT, TILE_WIDTH};
import package::arguments::arguments;

struct PixelTile {
    // First image, row and column.
    n: i32,
    y: i32,
    x: i32,
    // First texel of four result channels.
    quad: i32,
}

fn pixel_tile_at(index: i32) -> PixelTile {
    let columns = arguments.grid_columns;
    let rows = arguments.grid_rows;
    let images = arguments.grid_images;
    return PixelTile(
        index / (columns * rows) % images * TILE_IMAGES,
        index / columns % rows * TILE_HEIGHT,
        index % columns * TILE_WIDTH,
        index / (columns * rows * images) * ROW_QUADS,
    );
}

// First texel of a row of the group's channels that a tile reads.
fn group_start(quad: i32) -> i32 {
    // mutate `quad / arguments.group_quads *` => `0 *` (conv2d: channels of the first group for all)
    return quad / arguments.group_quads * arguments.quads * arguments.padded_width;
}

// Image, row and column of column j within a tile.
fn pixel_of(j: i32) -> vec3<i32> {
    // mutate `j % TILE_WIDTH)` => `j % TILE_HEIGHT)` (conv2d: columns of a tile mixed up)
    return vec3(j / (TILE_HEIGHT * TILE_WIDTH), j / TILE_WIDTH % TILE_HEIGHT, j % TILE_WIDTH);
}

// Where conv/pack_weights put four result channels: their first texel, and that of a step.
fn first_weight(quad: i32) -> i32 {
    return quad * arguments.steps;
}

fn weight_texel(first: i32, step: i32) -> vec2<i32> {
    let texel = first + step;
    // mutate `texel / WEIGHT_ROW)` => `0)` (conv2d: weights of the first row only)
    return vec2(texel % WEIGHT_ROW, texel / WEIGHT_ROW);
}
