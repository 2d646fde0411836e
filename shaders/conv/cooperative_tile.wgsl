// The tile body of all three passes on matrix units: sums[row, column] = sum over steps of
// left(row, step) * right(step, column), for TILE_ROWS x TILE_COLUMNS sums per workgroup. Factors are rounded
// to f16, their products are exact in f32, and sums are f32.
//
// TILE_DEPTH steps of both sides are brought into workgroup memory at a time, along the direction in which
// `operands` says that its memory runs. A subgroup keeps a block of 2 x 2 matrices of EDGE x EDGE sums; the
// blocks lie row by row in the tile. How a matrix is spread over the invocations only the driver knows, so
// sums go back through workgroup memory, one matrix of every block at a time, to be stored by `operands`.
//
// THREADS are as many as BLOCKS subgroups of the device's largest size. Where the driver takes a smaller one
// there are more subgroups than blocks: those repeat a block, and their results are left. They may not skip
// it, since matrices want control flow that is the same in the whole workgroup.

import package::constants::{TILE_ROWS, TILE_COLUMNS, TILE_DEPTH, THREADS, EDGE, SLOTS, GRID_COLUMNS};
import package::constants::{ROW_TILES, COLUMN_TILES, GROUPS, PARTS, PART_DEPTH, ROWS, COLUMNS, DEPTH};
import package::conv::place::together;
import package::operands::{LEFT_RUNS_ALONG_STEPS, left_row, left_step, load_left};
import package::operands::{RIGHT_RUNS_ALONG_STEPS, right_column, right_step, meets, load_right};
import package::operands::{result_column, store};
@if(!emulated)
import package::conv::cooperative_units::{Sums, left_matrix, right_matrix, multiply_add, put};
@if(emulated)
import package::conv::cooperative_emulated::{Sums, left_matrix, right_matrix, multiply_add, put, lane, LANES};

enable f16;
@if(!emulated) enable wgpu_cooperative_matrix;

const BLOCK: u32 = 2 * EDGE;
const BLOCK_COLUMNS: u32 = TILE_COLUMNS / BLOCK;
const BLOCKS: u32 = TILE_ROWS / BLOCK * BLOCK_COLUMNS;

// Eight elements of padding against bank conflicts keep each row of a matrix at a multiple of 16 bytes, as
// Vulkan asks of where matrices are loaded from.
const LEFT_PITCH: u32 = select(TILE_ROWS, TILE_DEPTH, LEFT_RUNS_ALONG_STEPS) + 8;
const RIGHT_PITCH: u32 = select(TILE_COLUMNS, TILE_DEPTH, RIGHT_RUNS_ALONG_STEPS) + 8;
const LEFT_SIZE: u32 = select(TILE_DEPTH, TILE_ROWS, LEFT_RUNS_ALONG_STEPS) * LEFT_PITCH;
const RIGHT_SIZE: u32 = select(TILE_DEPTH, TILE_COLUMNS, RIGHT_RUNS_ALONG_STEPS) * RIGHT_PITCH;

var<workgroup> left: array<f16, LEFT_SIZE>;
var<workgroup> right: array<f16, RIGHT_SIZE>;
var<workgroup> results: array<f32, SLOTS * EDGE * EDGE>;

struct Tile {
    group: u32,
    part: u32,
    first_row: u32,
    first_column: u32,
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @if(!emulated) @builtin(subgroup_id) subgroup: u32,
) {
    let index = workgroup.y * GRID_COLUMNS + workgroup.x;
    var tile: Tile;
    tile.first_column = index % COLUMN_TILES * TILE_COLUMNS;
    tile.first_row = index / COLUMN_TILES % ROW_TILES * TILE_ROWS;
    tile.group = index / (COLUMN_TILES * ROW_TILES) % GROUPS;
    tile.part = index / (COLUMN_TILES * ROW_TILES * GROUPS);
    // The last row of the grid may reach beyond the tiles; all threads of a workgroup leave together.
    if (tile.part >= PARTS) {
        return;
    }
    @if(emulated) let subgroup = thread / LANES;
    @if(emulated) lane = thread % LANES;
    let block_row = subgroup % BLOCKS / BLOCK_COLUMNS * BLOCK;
    // mutate `subgroup % BLOCK_COLUMNS * BLOCK` => `0u` (conv2d: first column of blocks for all)
    let block_column = subgroup % BLOCK_COLUMNS * BLOCK;

    var sums00: Sums;
    var sums01: Sums;
    var sums10: Sums;
    var sums11: Sums;
    let end = min((tile.part + 1) * PART_DEPTH, u32(DEPTH));
    for (var first = tile.part * PART_DEPTH; first < end; first += TILE_DEPTH) {
        for (var i = thread; i < TILE_ROWS * TILE_DEPTH; i += THREADS) {
            let row = select(i % TILE_ROWS, i / TILE_DEPTH, LEFT_RUNS_ALONG_STEPS);
            let step = select(i / TILE_ROWS, i % TILE_DEPTH, LEFT_RUNS_ALONG_STEPS);
            let r = tile.first_row + row;
            // mutate `first + step` => `step` (linear: first steps again)
            let s = first + step;
            var factor = 0.0;
            if (r < u32(ROWS) && s < end) {
                factor = load_left(left_row(tile.group, r) + left_step(s));
            }
            left[left_index(row, step)] = f16(factor);
        }
        for (var i = thread; i < TILE_COLUMNS * TILE_DEPTH; i += THREADS) {
            let column = select(i % TILE_COLUMNS, i / TILE_DEPTH, RIGHT_RUNS_ALONG_STEPS);
            let step = select(i / TILE_COLUMNS, i % TILE_DEPTH, RIGHT_RUNS_ALONG_STEPS);
            let c = tile.first_column + column;
            let s = first + step;
            let element = together(right_column(tile.group, c), right_step(s));
            var factor = 0.0;
            if (c < u32(COLUMNS) && s < end && meets(element)) {
                factor = load_right(element.index);
            }
            right[right_index(step, column)] = f16(factor);
        }
        // mutate `workgroupBarrier();` => `` (linear: missing barrier before the products)
        workgroupBarrier();
        for (var step = 0u; step < TILE_DEPTH; step += EDGE) {
            let left0 = left_matrix(block_row, step);
            // mutate `left_matrix(block_row + EDGE, step)` => `left_matrix(block_row, step)` (linear: first matrix for the second)
            let left1 = left_matrix(block_row + EDGE, step);
            let right0 = right_matrix(step, block_column);
            let right1 = right_matrix(step, block_column + EDGE);
            sums00 = multiply_add(left0, right0, sums00);
            sums01 = multiply_add(left0, right1, sums01);
            sums10 = multiply_add(left1, right0, sums10);
            sums11 = multiply_add(left1, right1, sums11);
        }
        workgroupBarrier();
    }
    put(sums00, subgroup);
    store_results(tile, thread, 0, 0);
    put(sums01, subgroup);
    store_results(tile, thread, 0, EDGE);
    put(sums10, subgroup);
    // mutate `store_results(tile, thread, EDGE, 0)` => `store_results(tile, thread, 0, 0)` (linear: third matrix in the place of the first)
    store_results(tile, thread, EDGE, 0);
    put(sums11, subgroup);
    store_results(tile, thread, EDGE, EDGE);
}

fn left_index(row: u32, step: u32) -> u32 {
    return select(step * LEFT_PITCH + row, row * LEFT_PITCH + step, LEFT_RUNS_ALONG_STEPS);
}

fn right_index(step: u32, column: u32) -> u32 {
    return select(step * RIGHT_PITCH + column, column * RIGHT_PITCH + step, RIGHT_RUNS_ALONG_STEPS);
}

// Stores the matrix of every block that stands `down` rows and `across` columns from the block's corner.
fn store_results(tile: Tile, thread: u32, down: u32, across: u32) {
    workgroupBarrier();
    for (var i = thread; i < BLOCKS * EDGE * EDGE; i += THREADS) {
        let block = i / (EDGE * EDGE);
        let row = tile.first_row + block / BLOCK_COLUMNS * BLOCK + down + i / EDGE % EDGE;
        let column = tile.first_column + block % BLOCK_COLUMNS * BLOCK + across + i % EDGE;
        if (row < u32(ROWS) && column < u32(COLUMNS)) {
            store(result_column(tile.group, tile.part, column), tile.group, row, results[i]);
        }
    }
    workgroupBarrier();
}
