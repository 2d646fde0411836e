// The tile body of all three passes on matrix units: sums[row, column] = sum over steps of
// left(row, step) * right(step, column), for TILE_ROWS x TILE_COLUMNS sums per workgroup. Factors are rounded
// to f16, their products are exact in f32, and sums are f32.
//
// TILE_DEPTH steps of both sides are in workgroup memory at a time, along the direction in which `operands` says that its
// memory runs, and the next ones are on their way into registers while those are multiplied: see `workgroup_loads`. A
// subgroup keeps a block of 2 x 2 matrices of EDGE x EDGE sums; the blocks lie row by row in the tile. How a matrix is spread
// over the invocations only the driver knows, so sums go back through workgroup memory, one matrix of every block at a time,
// to be stored by `operands`.
//
// THREADS are as many as BLOCKS subgroups of the device's largest size. Where the driver takes a smaller one
// there are more subgroups than blocks: those repeat a block, and their results are left. They may not skip
// it, since matrices want control flow that is the same in the whole workgroup.

import package::constants::{TILE_ROWS, TILE_COLUMNS, TILE_DEPTH, THREADS, EDGE, SLOTS, GRID_COLUMNS};
import package::constants::{ROW_TILES, COLUMN_TILES, GROUPS, PARTS, PART_DEPTH, DEPTH};
import package::conv::workgroup_loads::{ROW_QUADS, COLUMN_QUADS, LEFT_LOADS, RIGHT_LOADS, LAST_ROW, LAST_COLUMN};
import package::conv::workgroup_loads::{left_slot, right_slot, is_in_left, is_in_right, rows_of, columns_of, bring};
import package::operands::{LEFT_RUNS_ALONG_STEPS, RIGHT_RUNS_ALONG_STEPS, RESULT_RUNS_ALONG_ROWS};
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
// Of one matrix of every block.
const RESULT_ROWS: u32 = TILE_ROWS / 2;
const RESULT_COLUMNS: u32 = TILE_COLUMNS / 2;

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
    var rows = rows_of(thread, tile.group, tile.first_row);
    var columns = columns_of(thread, tile.group, tile.first_column);
    let begin = tile.part * PART_DEPTH;
    let end = min(begin + PART_DEPTH, u32(DEPTH));
    var brought = bring(&rows, &columns, thread, begin, end);
    for (var first = begin; first < end; first += TILE_DEPTH) {
        for (var load = 0u; load < LEFT_LOADS; load++) {
            let place = left_slot(thread, load);
            let factors = vec4<f16>(select(vec4(0.0), brought.left[load], brought.left_inside[load]));
            for (var lane = 0u; lane < 4 && is_in_left(place); lane++) {
                left[left_index(lane * ROW_QUADS + place.quad, place.step)] = factors[lane];
            }
        }
        for (var load = 0u; load < RIGHT_LOADS; load++) {
            let place = right_slot(thread, load);
            let factors = vec4<f16>(select(vec4(0.0), brought.right[load], brought.right_inside[load]));
            for (var lane = 0u; lane < 4 && is_in_right(place); lane++) {
                right[right_index(place.step, lane * COLUMN_QUADS + place.quad)] = factors[lane];
            }
        }
        // mutate `workgroupBarrier();` => `` (linear: missing barrier before the products)
        workgroupBarrier();
        // After the last ones, some that nobody uses: a branch would cost more.
        // mutate `first + TILE_DEPTH` => `first` (linear: first steps again)
        brought = bring(&rows, &columns, thread, first + TILE_DEPTH, end);
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

// Stores the matrix of every block that stands `down` rows and `across` columns from the block's corner. Neighbouring
// threads store neighbours in memory, and where those are columns, each has one column alone.
fn store_results(tile: Tile, thread: u32, down: u32, across: u32) {
    workgroupBarrier();
    for (var i = thread; i < BLOCKS * EDGE * EDGE; i += THREADS) {
        let row = select(i / RESULT_COLUMNS, i % RESULT_ROWS, RESULT_RUNS_ALONG_ROWS);
        let column = select(i % RESULT_COLUMNS, i / RESULT_ROWS, RESULT_RUNS_ALONG_ROWS);
        let block = row / EDGE * BLOCK_COLUMNS + column / EDGE;
        let r = tile.first_row + row / EDGE * BLOCK + down + row % EDGE;
        let c = tile.first_column + column / EDGE * BLOCK + across + column % EDGE;
        // mutate `c <= LAST_COLUMN` => `c < LAST_COLUMN` (linear: last column left out)
        if (r <= LAST_ROW && c <= LAST_COLUMN) {
            let sum = results[(block * EDGE + row % EDGE) * EDGE + column % EDGE];
            store(result_column(tile.group, tile.part, c), tile.group, r, sum);
        }
    }
    workgroupBarrier();
}
