// Operands of the tile body for y = w * x + bias: rows are filters, columns output pixels, blocks
// (tap, four channels), the channels fastest. The packed image has zeros wherever a tile or a window
// reaches beyond it.

import package::constants::ROW_QUADS;
import package::arguments::arguments;
import package::conv::texture_pixels::{PixelTile, Pixel, pixel_tile_at, next_pixel, image_row, is_beyond};
import package::conv::texture_pixels::weight_texel;

@group(0) @binding(0) var image: texture_2d<f32>;
@group(0) @binding(1) var weights: texture_2d<f32>;
@if(bias) @group(0) @binding(2) var<storage, read> bias: array<f32>;
@if(bias) @group(0) @binding(3) var<storage, read_write> y: array<f32>;
@if(!bias) @group(0) @binding(2) var<storage, read_write> y: array<f32>;

struct Block {
    index: i32,
    quad: i32,
    kx: i32,
    ky: i32,
}

fn is_idle(index: i32) -> bool {
    return false;
}

fn tile_at(index: i32) -> PixelTile {
    return pixel_tile_at(index);
}

fn first_column(tile: PixelTile) -> Pixel {
    return Pixel(0, 0, 0);
}

fn next_column(pixel: Pixel) -> Pixel {
    return next_pixel(pixel);
}

fn place_of(tile: PixelTile, pixel: Pixel) -> vec2<i32> {
    return vec2(
        (tile.x + pixel.x) * arguments.stride_x,
        image_row(tile, pixel) + (tile.y + pixel.y) * arguments.stride_y,
    );
}

fn first_block(tile: PixelTile) -> Block {
    return Block(0, 0, 0, 0);
}

fn is_past(tile: PixelTile, block: Block) -> bool {
    return block.index == arguments.blocks;
}

fn next_block(tile: PixelTile, block: Block) -> Block {
    let ends_tap = block.quad + 1 == arguments.quads;
    let ends_row = ends_tap && block.kx + 1 == arguments.kernel_width;
    let kx = select(block.kx, block.kx + 1, ends_tap);
    return Block(
        block.index + 1,
        select(block.quad + 1, 0, ends_tap),
        select(kx, 0, ends_row),
        select(block.ky, block.ky + 1, ends_row),
    );
}

fn load_columns(block: Block, place: vec2<i32>) -> vec4<f32> {
    let x = block.quad * arguments.padded_width + block.kx * arguments.dilation_x;
    return textureLoad(image, place + vec2(x, block.ky * arguments.dilation_y), 0);
}

fn load_rows(tile: PixelTile, block: Block, step: i32, q: i32) -> vec4<f32> {
    return textureLoad(weights, weight_texel(tile.quad + q, block.index, step), 0);
}

fn store(tile: PixelTile, pixel: Pixel, lane: i32, q: i32, sums: vec4<f32>) {
    let n = tile.n + pixel.n;
    let row = tile.y + pixel.y;
    let column = tile.x + pixel.x;
    if (is_beyond(tile, pixel) || row >= arguments.height || column >= arguments.width) {
        return;
    }
    for (var i = 0; i < 4; i++) {
        let channel = 4 * (tile.quad + q) + i;
        if (channel < arguments.channels) {
            var value = sums[i];
            @if(bias) {
                value += bias[channel];
            }
            let plane = n * arguments.all_channels + arguments.first_channel + channel;
            y[(plane * arguments.height + row) * arguments.width + column] = value;
        }
    }
}
