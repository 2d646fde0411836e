// The tile body of all three passes on GPUs: sums[row, column] = sum over steps of
// left(row, step) * right(step, column), for TILE_ROWS x TILE_COLUMNS sums per workgroup.
//
// TILE_DEPTH steps of both sides are in workgroup memory at a time, and the next ones are on their way into registers while
// those are multiplied. A vec4 there holds four rows or columns that lie a quarter of the tile apart: so neighbouring
// threads load, and store, neighbours in memory, and read neighbouring vec4. One vec4 of padding a step keeps threads that
// put the steps of a row apart in banks. A thread keeps THREAD x THREAD sums in registers.
//
// How elements are loaded stands in `workgroup_loads`.
//
// With `bias_gradient`, the sums of left's rows are stored as well: each thread adds up what it brings in, and
// the threads of one row are added at the end.

import package::constants::{TILE_ROWS, TILE_COLUMNS, TILE_DEPTH, THREAD, THREADS, GRID_COLUMNS};
import package::constants::{ROW_TILES, COLUMN_TILES, GROUPS, PARTS, PART_DEPTH, DEPTH};
import package::conv::workgroup_loads::{ROW_QUADS, COLUMN_QUADS, LEFT_LOADS, RIGHT_LOADS, LAST_ROW, LAST_COLUMN};
import package::conv::workgroup_loads::{left_slot, right_slot, rows_of, columns_of, bring};
import package::operands::{RESULT_RUNS_ALONG_ROWS, result_column, store};
@if(bias_gradient) import package::operands::store_row_sum;

const LEFT_PITCH: u32 = ROW_QUADS + 1;
const RIGHT_PITCH: u32 = COLUMN_QUADS + 1;
const THREAD_QUADS: u32 = THREAD / 4;
const THREAD_ROWS: u32 = TILE_ROWS / THREAD;
const THREAD_COLUMNS: u32 = TILE_COLUMNS / THREAD;
const SUMS: u32 = THREAD * THREAD_QUADS;
// Each thread brings in as many.
const_assert TILE_DEPTH * ROW_QUADS % THREADS == 0 && TILE_DEPTH * COLUMN_QUADS % THREADS == 0;

var<workgroup> left: array<vec4<f32>, TILE_DEPTH * LEFT_PITCH>;
var<workgroup> right: array<vec4<f32>, TILE_DEPTH * RIGHT_PITCH>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = workgroup.y * GRID_COLUMNS + workgroup.x;
    let first_column = index % COLUMN_TILES * TILE_COLUMNS;
    let first_row = index / COLUMN_TILES % ROW_TILES * TILE_ROWS;
    let group = index / (COLUMN_TILES * ROW_TILES) % GROUPS;
    let part = index / (COLUMN_TILES * ROW_TILES * GROUPS);
    // The last row of the grid may reach beyond the tiles; all threads of a workgroup leave together.
    if (part >= PARTS) {
        return;
    }
    let thread_row = select(thread / THREAD_COLUMNS, thread % THREAD_ROWS, RESULT_RUNS_ALONG_ROWS);
    let thread_column = select(thread % THREAD_COLUMNS, thread / THREAD_ROWS, RESULT_RUNS_ALONG_ROWS);

    var rows = rows_of(thread, group, first_row);
    var columns = columns_of(thread, group, first_column);
    var sums: array<vec4<f32>, SUMS>;
    for (var i = 0u; i < SUMS; i++) {
        sums[i] = vec4(0.0);
    }
    @if(bias_gradient) var row_sums: array<vec4<f32>, LEFT_LOADS>;
    let begin = part * PART_DEPTH;
    let end = min(begin + PART_DEPTH, u32(DEPTH));
    var brought = bring(&rows, &columns, thread, begin, end);
    for (var first = begin; first < end; first += TILE_DEPTH) {
        for (var load = 0u; load < LEFT_LOADS; load++) {
            let place = left_slot(thread, load);
            let texel = select(vec4(0.0), brought.left[load], brought.left_inside[load]);
            left[place.step * LEFT_PITCH + place.quad] = texel;
            // mutate `row_sums[load] += texel` => `row_sums[load] = texel` (conv2d: bias gradient of the last steps alone)
            @if(bias_gradient) row_sums[load] += texel;
        }
        for (var load = 0u; load < RIGHT_LOADS; load++) {
            let place = right_slot(thread, load);
            right[place.step * RIGHT_PITCH + place.quad] = select(vec4(0.0), brought.right[load], brought.right_inside[load]);
        }
        // mutate `workgroupBarrier();` => `` (conv2d: missing barrier before the products)
        workgroupBarrier();
        // After the last ones, some that nobody uses: a branch would cost more.
        brought = bring(&rows, &columns, thread, first + TILE_DEPTH, end);
        for (var step = 0u; step < TILE_DEPTH; step++) {
            var factors: array<vec4<f32>, THREAD_QUADS>;
            for (var q = 0u; q < THREAD_QUADS; q++) {
                factors[q] = left[step * LEFT_PITCH + q * THREAD_ROWS + thread_row];
            }
            for (var q = 0u; q < THREAD_QUADS; q++) {
                let others = right[step * RIGHT_PITCH + q * THREAD_COLUMNS + thread_column];
                for (var lane = 0u; lane < 4; lane++) {
                    for (var r = 0u; r < THREAD_QUADS; r++) {
                        let i = (4 * q + lane) * THREAD_QUADS + r;
                        sums[i] = fma(factors[r], vec4(others[lane]), sums[i]);
                    }
                }
            }
        }
        // mutate `workgroupBarrier();` => `` (conv2d: missing barrier after the products)
        workgroupBarrier();
    }
    @if(bias_gradient) {
        for (var load = 0u; load < LEFT_LOADS; load++) {
            let place = left_slot(thread, load);
            left[place.step * LEFT_PITCH + place.quad] = row_sums[load];
        }
        workgroupBarrier();
        for (var row = thread; row < TILE_ROWS && first_column == 0; row += THREADS) {
            var sum = 0.0;
            // mutate `step < TILE_DEPTH; step++) {` => `step < TILE_DEPTH - 1; step++) {` (conv2d: bias gradient of all threads of a row but one)
            for (var step = 0u; step < TILE_DEPTH; step++) {
                sum += left[step * LEFT_PITCH + row % ROW_QUADS][row / ROW_QUADS];
            }
            if (first_row + row <= LAST_ROW) {
                store_row_sum(group, part, first_row + row, sum);
            }
        }
    }
    for (var c = 0u; c < THREAD; c++) {
        let column = first_column + c % 4 * COLUMN_QUADS + c / 4 * THREAD_COLUMNS + thread_column;
        // mutate `column <= LAST_COLUMN` => `column < LAST_COLUMN` (conv2d: last column left out)
        if (column <= LAST_COLUMN) {
            let place = result_column(group, part, column);
            for (var r = 0u; r < THREAD; r++) {
                let row = first_row + r % 4 * ROW_QUADS + r / 4 * THREAD_ROWS + thread_row;
                if (row <= LAST_ROW) {
                    store(place, group, row, sums[c * THREAD_QUADS + r / 4][r % 4]);
                }
            }
        }
    }
}
