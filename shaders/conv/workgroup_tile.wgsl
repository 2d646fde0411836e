// The tile body of all three passes on GPUs: sums[row, column] = sum over steps of
// left(row, step) * right(step, column), for TILE_ROWS x TILE_COLUMNS sums per workgroup.
//
// TILE_DEPTH steps of both sides are brought into workgroup memory at a time, four rows or columns a
// vec4, one vec4 of padding a step against bank conflicts; a thread keeps THREAD x THREAD sums in
// registers. `operands` loads single elements (zero outside) and stores sums, and says along which
// direction its memory runs, so that neighbouring threads load neighbours.
//
// With `bias_gradient`, the sums of left's rows are stored as well: each thread adds up what it brings in, and
// the threads of one row are added at the end.

import package::constants::{TILE_ROWS, TILE_COLUMNS, TILE_DEPTH, THREAD, THREADS, GRID_COLUMNS};
import package::constants::{ROW_TILES, COLUMN_TILES, GROUPS, PARTS, PART_DEPTH, ROWS, COLUMNS, DEPTH};
import package::operands::{load_left, load_right, store, LEFT_RUNS_ALONG_STEPS, RIGHT_RUNS_ALONG_STEPS};
@if(bias_gradient) import package::operands::store_row_sum;

const ROW_QUADS: u32 = TILE_ROWS / 4;
const COLUMN_QUADS: u32 = TILE_COLUMNS / 4;
const LEFT_PITCH: u32 = ROW_QUADS + 1;
const RIGHT_PITCH: u32 = COLUMN_QUADS + 1;
const QUADS: u32 = THREAD / 4;
const THREAD_COLUMNS: u32 = TILE_COLUMNS / THREAD;
const SUMS: u32 = THREAD * QUADS;
// Texels of left that a thread brings in at a time.
const LEFT_LOADS: u32 = (TILE_DEPTH * ROW_QUADS + THREADS - 1) / THREADS;

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
    let thread_column = thread % THREAD_COLUMNS;
    let thread_row = thread / THREAD_COLUMNS;

    var sums: array<vec4<f32>, SUMS>;
    for (var i = 0u; i < SUMS; i++) {
        sums[i] = vec4(0.0);
    }
    @if(bias_gradient) var row_sums: array<vec4<f32>, LEFT_LOADS>;
    let end = min((part + 1) * PART_DEPTH, u32(DEPTH));
    for (var first = part * PART_DEPTH; first < end; first += TILE_DEPTH) {
        for (var i = thread; i < TILE_DEPTH * ROW_QUADS; i += THREADS) {
            var step = i / ROW_QUADS;
            var quad = i % ROW_QUADS;
            if (LEFT_RUNS_ALONG_STEPS) {
                step = i % TILE_DEPTH;
                quad = i / TILE_DEPTH;
            }
            let row = i32(first_row + 4 * quad);
            let s = i32(first + step);
            let inside = s < i32(end);
            var texel = vec4(0.0);
            for (var lane = 0; lane < 4; lane++) {
                if (inside && row + lane < ROWS) {
                    texel[lane] = load_left(i32(group), row + lane, s);
                }
            }
            left[step * LEFT_PITCH + quad] = texel;
            // mutate `row_sums[i / THREADS] += texel` => `row_sums[i / THREADS] = texel` (conv2d: bias gradient of the last steps alone)
            @if(bias_gradient) row_sums[i / THREADS] += texel;
        }
        for (var i = thread; i < TILE_DEPTH * COLUMN_QUADS; i += THREADS) {
            var step = i / COLUMN_QUADS;
            var quad = i % COLUMN_QUADS;
            if (RIGHT_RUNS_ALONG_STEPS) {
                step = i % TILE_DEPTH;
                quad = i / TILE_DEPTH;
            }
            let column = i32(first_column + 4 * quad);
            let s = i32(first + step);
            let inside = s < i32(end);
            var texel = vec4(0.0);
            for (var lane = 0; lane < 4; lane++) {
                // mutate `column + lane < COLUMNS` => `column + lane < COLUMNS - 1` (conv2d: last column left out)
                if (inside && column + lane < COLUMNS) {
                    texel[lane] = load_right(i32(group), s, column + lane);
                }
            }
            right[step * RIGHT_PITCH + quad] = texel;
        }
        // mutate `workgroupBarrier();` => `` (conv2d: missing barrier before the products)
        workgroupBarrier();
        for (var step = 0u; step < TILE_DEPTH; step++) {
            var rows: array<vec4<f32>, QUADS>;
            for (var q = 0u; q < QUADS; q++) {
                rows[q] = left[step * LEFT_PITCH + thread_row * QUADS + q];
            }
            for (var q = 0u; q < QUADS; q++) {
                let columns = right[step * RIGHT_PITCH + thread_column * QUADS + q];
                for (var lane = 0u; lane < 4; lane++) {
                    for (var r = 0u; r < QUADS; r++) {
                        let i = (4 * q + lane) * QUADS + r;
                        sums[i] = fma(rows[r], vec4(columns[lane]), sums[i]);
                    }
                }
            }
        }
        // mutate `workgroupBarrier();` => `` (conv2d: missing barrier after the products)
        workgroupBarrier();
    }
    @if(bias_gradient) {
        for (var i = thread; i < TILE_DEPTH * ROW_QUADS; i += THREADS) {
            left[i % TILE_DEPTH * LEFT_PITCH + i / TILE_DEPTH] = row_sums[i / THREADS];
        }
        workgroupBarrier();
        for (var row = thread; row < TILE_ROWS && first_column == 0; row += THREADS) {
            var sum = 0.0;
            // mutate `step < TILE_DEPTH; step++) {` => `step < TILE_DEPTH - 1; step++) {` (conv2d: bias gradient of all threads of a row but one)
            for (var step = 0u; step < TILE_DEPTH; step++) {
                sum += left[step * LEFT_PITCH + row / 4][row % 4];
            }
            if (first_row + row < u32(ROWS)) {
                store_row_sum(i32(group), i32(part), i32(first_row + row), sum);
            }
        }
    }
    for (var c = 0u; c < THREAD; c++) {
        let column = i32(first_column + thread_column * THREAD + c);
        for (var r = 0u; r < QUADS; r++) {
            for (var lane = 0u; lane < 4; lane++) {
                let row = i32(first_row + thread_row * THREAD + 4 * r + lane);
                if (row < ROWS && column < COLUMNS) {
                    store(i32(group), i32(part), row, column, sums[c * QUADS + r][lane]);
                }
            }
        }
    }
}
