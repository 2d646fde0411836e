// Operands of the tile body for dw = dy * x^T: rows are filters, columns (tap, channel), blocks
// output pixels, those of an output's row a run. With `vectors`, images of one output pixel each, a run
// is of images. A part of the invocations sums part_rows of the output's rows, counted over all images.
//
// With `rows`, the four channels of a texel are four neighbours of a row: column 4 * tap column + i
// of the kernel.

import package::constants::{ROW_QUADS, COLUMN_TEXELS};
import package::arguments::arguments;
import package::bindings::{image, gradient, dw};

struct Tile {
    // First texel of four filters, and of four columns.
    quad: i32,
    column_quad: i32,
    part: i32,
    // One beyond its last row.
    end: i32,
}

// A column: its texel of four, their tap row, tap column and texel of channels.
struct Column {
    texel: i32,
    ky: i32,
    kx: i32,
    quad: i32,
    // Which of the four.
    lane: i32,
}

// A row of the output, counted over all images, its number in its image, and the packed image's row
// at its first tap.
struct Run {
    row: i32,
    y: i32,
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
        // mutate `* arguments.part_rows, arguments.all_rows)` => `* arguments.part_rows - 1, arguments.all_rows)` (conv2d: last row of each part left out)
        min((part + 1) * arguments.part_rows, arguments.all_rows),
    );
}

// Columns beyond the last repeat its place, and are not stored.
fn column_of(tile: Tile, j: i32) -> Column {
    let texel = tile.column_quad + j / 4;
    let known = min(texel, arguments.column_quads - 1);
    let tap = known / arguments.quads;
    return Column(texel, tap / arguments.tap_columns, tap % arguments.tap_columns, known % arguments.quads, j % 4);
}

fn place_of(tile: Tile, column: Column) -> vec2<i32> {
    // mutate `tile.quad / arguments.group_quads` => `0` (conv2d: channels of the first group for all)
    let group = tile.quad / arguments.group_quads;
    return vec2(
        (group * arguments.quads + column.quad) * arguments.padded_width + column.kx * arguments.dilation_x,
        column.ky * arguments.dilation_y,
    );
}

fn start_of(tile: Tile, q: i32) -> vec4<f32> {
    return vec4(0.0);
}

fn first_run(tile: Tile) -> Run {
    let row = tile.part * arguments.part_rows;
    let y = row % arguments.out_height;
    return Run(row, y, row / arguments.out_height * arguments.padded_height + y * arguments.stride_y);
}

fn is_past(tile: Tile, run: Run) -> bool {
    return run.row >= tile.end;
}

fn next_run(tile: Tile, run: Run) -> Run {
    @if(vectors) return Run(tile.end, 0, 0);
    let ends_image = run.y + 1 == arguments.out_height;
    let rows = select(arguments.stride_y, arguments.next_image, ends_image);
    return Run(run.row + 1, select(run.y + 1, 0, ends_image), run.image_row + rows);
}

fn length_of(tile: Tile, run: Run) -> i32 {
    // mutate `tile.end - run.row` => `tile.end - run.row - 1` (linear: last vector of a part left out)
    @if(vectors) return tile.end - run.row;
    @if(!vectors) return arguments.out_width;
}

fn shift_of(run: Run) -> vec2<i32> {
    return vec2(0, run.image_row);
}

// Texels from one block's to the next's.
fn pitch() -> i32 {
    @if(vectors) return arguments.padded_height;
    @if(!vectors) return arguments.stride_x;
}

fn load_columns(place: vec2<i32>, offset: i32) -> vec4<f32> {
    @if(vectors) let texel = vec2(place.x, place.y + offset);
    @if(!vectors) let texel = vec2(place.x + offset, place.y);
    return textureLoad(image, texel);
}

// Rows beyond the last repeat it, and are not stored.
fn row_of(tile: Tile, q: i32) -> i32 {
    // mutate `(arguments.filters - 1) / 4` => `arguments.filters / 8` (conv2d: last filters repeated)
    return min(tile.quad + q, (arguments.filters - 1) / 4) * arguments.out_width;
}

fn load_rows(run: Run, row: i32, step: i32) -> vec4<f32> {
    @if(vectors) let texel = vec2(row, run.row + step);
    @if(!vectors) let texel = vec2(row + step, run.row);
    return textureLoad(gradient, texel);
}

fn store(tile: Tile, column: Column, q: i32, sums: vec4<f32>) {
    @if(rows) let channel = column.quad;
    @if(rows) let kx = 4 * column.kx + column.lane;
    @if(!rows) let channel = 4 * column.quad + column.lane;
    @if(!rows) let kx = column.kx;
    if (column.texel >= arguments.column_quads || channel >= arguments.channels || kx >= arguments.kernel_width) {
        return;
    }
    let taps = arguments.kernel_height * arguments.kernel_width;
    let first = 4 * (tile.quad + q);
    for (var i = 0; i < min(4, arguments.filters - first); i++) {
        let filter_channel = (tile.part * arguments.filters + first + i) * arguments.channels + channel;
        dw[filter_channel * taps + column.ky * arguments.kernel_width + kx] = sums[i];
    }
}
