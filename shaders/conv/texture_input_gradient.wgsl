// Operands of the tile body for dx = w^T * dy: rows are channels, columns input pixels, blocks (tap,
// four filters), the filters of a tap a run.
//
// Input pixel i = q * stride + residue meets output q + (residue + padding - tap * dilation) / stride,
// where that divides. All pixels of a tile have one residue, so they meet the same taps: every
// tap_step-th from the first that divides. The packed gradient has border zeros before it, and enough
// after it.

import package::constants::ROW_QUADS;
import package::arguments::arguments;
import package::conv::texture_pixels::{PixelTile, pixel_tile_at, pixel_of, group_start, first_weight, weight_texel};
import package::bindings::{gradient, weights, dx};

struct Tile {
    // First image, and first row and column in strides.
    pixels: PixelTile,
    residue_y: i32,
    residue_x: i32,
    first: Run,
}

// A tap that meets the tile, and where the output that a pixel meets lies from it, the border included.
struct Run {
    // Its first block.
    block: i32,
    kx: i32,
    ky: i32,
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
    // mutate `residue % arguments.stride_x` => `residue / arguments.stride_x` (conv2d: residues mixed up)
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
    // mutate `* arguments.dilation_x) / arguments.stride_x` => `* arguments.dilation_x)` (conv2d: no stride)
    let x = (residue_x + arguments.padding_x - kx * arguments.dilation_x) / arguments.stride_x;
    // Where no column of taps meets the tile, no row counts either.
    let first_ky = select(ky, arguments.kernel_height, kx >= arguments.kernel_width);
    return Tile(
        pixel_tile_at(index % arguments.class_invocations),
        residue_y,
        residue_x,
        run_at(kx, first_ky, x + arguments.border_x, y + arguments.border_y),
    );
}

fn column_of(tile: Tile, j: i32) -> vec3<i32> {
    return pixel_of(j);
}

fn place_of(tile: Tile, pixel: vec3<i32>) -> vec2<i32> {
    return vec2(
        group_start(tile.pixels.quad) + tile.pixels.x + pixel.z,
        (tile.pixels.n + pixel.x) * arguments.padded_height + tile.pixels.y + pixel.y,
    );
}

fn start_of(tile: Tile, q: i32) -> vec4<f32> {
    return vec4(0.0);
}

fn run_at(kx: i32, ky: i32, x: i32, y: i32) -> Run {
    return Run((ky * arguments.kernel_width + kx) * arguments.quads, kx, ky, x, y);
}

fn first_run(tile: Tile) -> Run {
    return tile.first;
}

fn is_past(tile: Tile, run: Run) -> bool {
    return run.ky >= arguments.kernel_height;
}

fn next_run(tile: Tile, run: Run) -> Run {
    let ends_row = run.kx + arguments.tap_step_x >= arguments.kernel_width;
    return run_at(
        select(run.kx + arguments.tap_step_x, tile.first.kx, ends_row),
        select(run.ky, run.ky + arguments.tap_step_y, ends_row),
        // mutate `run.x - arguments.shift_x` => `run.x - 1` (conv2d: no dilation)
        select(run.x - arguments.shift_x, tile.first.x, ends_row),
        select(run.y, run.y - arguments.shift_y, ends_row),
    );
}

fn length_of(tile: Tile, run: Run) -> i32 {
    return arguments.quads;
}

fn shift_of(run: Run) -> vec2<i32> {
    return vec2(run.x, run.y);
}

// Texels from one block's to the next's.
fn pitch() -> i32 {
    return arguments.padded_width;
}

fn load_columns(place: vec2<i32>, offset: i32) -> vec4<f32> {
    return textureLoad(gradient, vec2(place.x + offset, place.y));
}

fn row_of(tile: Tile, q: i32) -> i32 {
    return first_weight(tile.pixels.quad + q);
}

fn load_rows(run: Run, row: i32, step: i32) -> vec4<f32> {
    return textureLoad(weights, weight_texel(row, 4 * run.block + step));
}

fn store(tile: Tile, pixel: vec3<i32>, q: i32, sums: vec4<f32>) {
    let n = tile.pixels.n + pixel.x;
    let row = (tile.pixels.y + pixel.y) * arguments.stride_y + tile.residue_y;
    let column = (tile.pixels.x + pixel.z) * arguments.stride_x + tile.residue_x;
    if (n >= arguments.batch || row >= arguments.height || column >= arguments.width) {
        return;
    }
    let first = 4 * (tile.pixels.quad + q);
    for (var i = 0; i < min(4, arguments.channels - first); i++) {
        let plane = n * arguments.channels + first + i;
        dx[(plane * arguments.height + row) * arguments.width + column] = sums[i];
    }
}
