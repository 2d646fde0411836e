// Operands of the tile body for dx = w^T * dy: rows are channels, columns input pixels, blocks (tap,
// four filters), the filters fastest.
//
// Input pixel i = q * stride + residue meets output q + (residue + padding - tap * dilation) / stride,
// where that divides. All pixels of a tile have one residue, so they meet the same taps: every
// tap_step-th from the first that divides. The packed gradient has border zeros before it, and enough
// after it.

import package::constants::ROW_QUADS;
import package::arguments::arguments;
import package::conv::texture_pixels::{PixelTile, Pixel, pixel_tile_at, next_pixel, image_row, is_beyond};
import package::conv::texture_pixels::weight_texel;

@group(0) @binding(0) var gradient: texture_2d<f32>;
@group(0) @binding(1) var weights: texture_2d<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

struct Tile {
    // First image, and first row and column in strides.
    pixels: PixelTile,
    residue_y: i32,
    residue_x: i32,
    // First tap that meets the tile, and where its output lies from a pixel, the border included.
    first: Block,
}

struct Block {
    quad: i32,
    kx: i32,
    ky: i32,
    // Where the output that a pixel meets lies from it, the border included.
    x: i32,
    y: i32,
}

// Invocations are in classes of one residue each, padded to whole workgroups.
fn is_idle(index: i32) -> bool {
    return index % arguments.class_invocations >= arguments.tiles;
}

// The first tap that meets pixels of a residue, or `taps` where none does.
fn first_tap(residue: i32, padding: i32, dilation: i32, stride: i32, step: i32, taps: i32) -> i32 {
    for (var tap = 0; tap < min(step, taps); tap++) {
        if ((residue + padding - tap * dilation) % stride == 0) {
            return tap;
        }
    }
    return taps;
}

fn tile_at(index: i32) -> Tile {
    let residue = index / arguments.class_invocations;
    let residue_y = residue / arguments.stride_x;
    let residue_x = residue % arguments.stride_x;
    let ky = first_tap(
        residue_y,
        arguments.padding_y,
        arguments.dilation_y,
        arguments.stride_y,
        arguments.tap_step_y,
        arguments.kernel_height,
    );
    let kx = first_tap(
        residue_x,
        arguments.padding_x,
        arguments.dilation_x,
        arguments.stride_x,
        arguments.tap_step_x,
        arguments.kernel_width,
    );
    let y = (residue_y + arguments.padding_y - ky * arguments.dilation_y) / arguments.stride_y;
    let x = (residue_x + arguments.padding_x - kx * arguments.dilation_x) / arguments.stride_x;
    // Where no column of taps meets the tile, no row counts either.
    let first_ky = select(ky, arguments.kernel_height, kx >= arguments.kernel_width);
    return Tile(
        pixel_tile_at(index % arguments.class_invocations),
        residue_y,
        residue_x,
        Block(0, kx, first_ky, x + arguments.border_x, y + arguments.border_y),
    );
}

fn first_column(tile: Tile) -> Pixel {
    return Pixel(0, 0, 0);
}

fn next_column(pixel: Pixel) -> Pixel {
    return next_pixel(pixel);
}

fn place_of(tile: Tile, pixel: Pixel) -> vec2<i32> {
    return vec2(
        tile.pixels.x + pixel.x,
        image_row(tile.pixels, pixel) + tile.pixels.y + pixel.y,
    );
}

fn first_block(tile: Tile) -> Block {
    return tile.first;
}

fn is_past(tile: Tile, block: Block) -> bool {
    return block.ky >= arguments.kernel_height;
}

fn next_block(tile: Tile, block: Block) -> Block {
    let ends_tap = block.quad + 1 == arguments.quads;
    let ends_row = ends_tap && block.kx + arguments.tap_step_x >= arguments.kernel_width;
    let kx = select(block.kx, block.kx + arguments.tap_step_x, ends_tap);
    let x = select(block.x, block.x - arguments.shift_x, ends_tap);
    return Block(
        select(block.quad + 1, 0, ends_tap),
        select(kx, tile.first.kx, ends_row),
        select(block.ky, block.ky + arguments.tap_step_y, ends_row),
        select(x, tile.first.x, ends_row),
        select(block.y, block.y - arguments.shift_y, ends_row),
    );
}

fn load_columns(block: Block, place: vec2<i32>) -> vec4<f32> {
    return textureLoad(gradient, place + vec2(block.quad * arguments.padded_width + block.x, block.y), 0);
}

fn load_rows(tile: Tile, block: Block, step: i32, q: i32) -> vec4<f32> {
    let index = (block.ky * arguments.kernel_width + block.kx) * arguments.quads + block.quad;
    return textureLoad(weights, weight_texel(tile.pixels.quad + q, index, step), 0);
}

fn store(tile: Tile, pixel: Pixel, lane: i32, q: i32, sums: vec4<f32>) {
    let n = tile.pixels.n + pixel.n;
    let row = (tile.pixels.y + pixel.y) * arguments.stride_y + tile.residue_y;
    let column = (tile.pixels.x + pixel.x) * arguments.stride_x + tile.residue_x;
    if (is_beyond(tile.pixels, pixel) || row >= arguments.height || column >= arguments.width) {
        return;
    }
    for (var i = 0; i < 4; i++) {
        let channel = 4 * (tile.pixels.quad + q) + i;
        if (channel < arguments.channels) {
            let plane = n * arguments.channels + channel;
            dx[(plane * arguments.height + row) * arguments.width + column] = sums[i];
        }
    }
}
