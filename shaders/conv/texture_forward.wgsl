// Operands of the tile body for y = f(w * x + bias), f an activation or none: rows are filters, columns
// output pixels, blocks (tap, four channels), the channels of a tap a run. The packed image has zeros
// wherever a tile or a window reaches beyond it.

import package::constants::ROW_QUADS;
import package::arguments::arguments;
import package::activation::epilogue::epilogue;
import package::conv::texture_pixels::{PixelTile, pixel_tile_at, pixel_of, group_start, first_weight, weight_texel};
import package::bindings::{image, weights, bias, y};

// A tap, and its first block.
struct Run {
    block: i32,
    kx: i32,
    ky: i32,
}

fn is_idle(index: i32) -> bool {
    return false;
}

fn tile_at(index: i32) -> PixelTile {
    return pixel_tile_at(index);
}

fn column_of(tile: PixelTile, j: i32) -> vec3<i32> {
    return pixel_of(j);
}

fn place_of(tile: PixelTile, pixel: vec3<i32>) -> vec2<i32> {
    return vec2(
        group_start(tile.quad) + (tile.x + pixel.z) * arguments.stride_x,
        (tile.n + pixel.x) * arguments.padded_height + (tile.y + pixel.y) * arguments.stride_y,
    );
}

// Sums start at the bias: a store that added it would load it for each column.
fn start_of(tile: PixelTile, q: i32) -> vec4<f32> {
    var start = vec4(0.0);
    @if(bias) for (var i = 0; i < 4; i++) {
        let channel = 4 * (tile.quad + q) + i;
        if (channel < arguments.channels) {
            // mutate `start[i] = bias[channel];` => `start[i] = 0.0;` (conv2d: no bias)
            start[i] = bias[channel];
        }
    }
    return start;
}

fn first_run(tile: PixelTile) -> Run {
    return Run(0, 0, 0);
}

fn is_past(tile: PixelTile, run: Run) -> bool {
    return run.ky >= arguments.kernel_height;
}

fn next_run(tile: PixelTile, run: Run) -> Run {
    let ends_row = run.kx + 1 == arguments.kernel_width;
    return Run(
        run.block + arguments.quads,
        select(run.kx + 1, 0, ends_row),
        select(run.ky, run.ky + 1, ends_row),
    );
}

fn length_of(tile: PixelTile, run: Run) -> i32 {
    return arguments.quads;
}

fn shift_of(run: Run) -> vec2<i32> {
    // mutate `run.kx * arguments.dilation_x` => `run.kx` (conv2d: no dilation)
    @if(!rows) return vec2(run.kx * arguments.dilation_x, run.ky * arguments.dilation_y);
    // The last texel of a window's row is among those with zeros beyond the window.
    @if(rows) {
        // mutate `select(0, arguments.to_ends,` => `select(0, 0,` (conv2d: an infinity beyond the window)
        let to_ends = select(0, arguments.to_ends, run.kx + 1 == arguments.kernel_width);
        return vec2(run.kx * arguments.dilation_x + to_ends, run.ky * arguments.dilation_y);
    }
}

// Texels from one block's to the next's.
fn pitch() -> i32 {
    return arguments.padded_width;
}

fn load_columns(place: vec2<i32>, offset: i32) -> vec4<f32> {
    return textureLoad(image, vec2(place.x + offset, place.y));
}

fn row_of(tile: PixelTile, q: i32) -> i32 {
    return first_weight(tile.quad + q);
}

fn load_rows(run: Run, row: i32, step: i32) -> vec4<f32> {
    return textureLoad(weights, weight_texel(row, 4 * run.block + step));
}

fn store(tile: PixelTile, pixel: vec3<i32>, q: i32, sums: vec4<f32>) {
    let n = tile.n + pixel.x;
    let row = tile.y + pixel.y;
    let column = tile.x + pixel.z;
    // mutate `row >= arguments.height` => `row > arguments.height` (conv2d: a row beyond the image is stored)
    if (n >= arguments.batch || row >= arguments.height || column >= arguments.width) {
        return;
    }
    let first = 4 * (tile.quad + q);
    for (var i = 0; i < min(4, arguments.channels - first); i++) {
        let plane = n * arguments.all_channels + arguments.first_channel + first + i;
        y[(plane * arguments.height + row) * arguments.width + column] = epilogue(sums[i]);
    }
}
