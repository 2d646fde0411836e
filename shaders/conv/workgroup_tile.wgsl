// The tile body of all three passes on GPUs: sums[row, column] = sum over steps of
// left(row, step) * right(step, column), for TILE_ROWS x TILE_COLUMNS sums per workgroup.
//
// TILE_DEPTH steps of both sides are in workgroup memory at a time, and the next ones are on their way into registers while
// those are multiplied. A vec4 there holds four rows or columns that lie a quarter of the tile apart: so neighbouring
// threads load, and store, neighbours in memory, and read neighbouring vec4. One vec4 of padding a step keeps threads that
// put the steps of a row apart in banks. A thread keeps THREAD x THREAD sums in registers.
//
// `operands` says where an element lies, as a part that its row or column decides, found once, and a part that its step decides; and
// along which of the two its memory runs. No load stands in a branch: rows and columns beyond the result repeat the last one,
// and are not stored; what is no element of an image is read elsewhere, and put as zero.
//
// With `bias_gradient`, the sums of left's rows are stored as well: each thread adds up what it brings in, and
// the threads of one row are added at the end.

import package::constants::{TILE_ROWS, TILE_COLUMNS, TILE_DEPTH, THREAD, THREADS, GRID_COLUMNS};
import package::constants::{ROW_TILES, COLUMN_TILES, GROUPS, PARTS, PART_DEPTH, ROWS, COLUMNS, DEPTH};
import package::conv::place::{Place, together};
import package::operands::{LEFT_RUNS_ALONG_STEPS, left_row, left_step, load_left};
import package::operands::{RIGHT_RUNS_ALONG_STEPS, right_column, right_step, meets, load_right};
import package::operands::{RESULT_RUNS_ALONG_ROWS, result_column, store};
@if(bias_gradient) import package::operands::store_row_sum;

const ROW_QUADS: u32 = TILE_ROWS / 4;
const COLUMN_QUADS: u32 = TILE_COLUMNS / 4;
const LEFT_PITCH: u32 = ROW_QUADS + 1;
const RIGHT_PITCH: u32 = COLUMN_QUADS + 1;
const THREAD_QUADS: u32 = THREAD / 4;
const THREAD_ROWS: u32 = TILE_ROWS / THREAD;
const THREAD_COLUMNS: u32 = TILE_COLUMNS / THREAD;
const SUMS: u32 = THREAD * THREAD_QUADS;
// Vec4 of each side that a thread brings in at a time: each thread as many.
const_assert TILE_DEPTH * ROW_QUADS % THREADS == 0 && TILE_DEPTH * COLUMN_QUADS % THREADS == 0;
const LEFT_LOADS: u32 = TILE_DEPTH * ROW_QUADS / THREADS;
const RIGHT_LOADS: u32 = TILE_DEPTH * COLUMN_QUADS / THREADS;
const LAST_ROW: u32 = u32(ROWS) - 1;
const LAST_COLUMN: u32 = u32(COLUMNS) - 1;
const LAST_STEP: u32 = max(u32(DEPTH), 1) - 1;
// Whether the last steps may be fewer than TILE_DEPTH.
const STEPS_END: bool = u32(DEPTH) % TILE_DEPTH != 0;

var<workgroup> left: array<vec4<f32>, TILE_DEPTH * LEFT_PITCH>;
var<workgroup> right: array<vec4<f32>, TILE_DEPTH * RIGHT_PITCH>;

// Of a vec4 in workgroup memory.
struct Slot {
    step: u32,
    quad: u32,
}

fn slot(thread: u32, load: u32, quads: u32, along_steps: bool) -> Slot {
    if (along_steps) {
        return Slot(thread % TILE_DEPTH, thread / TILE_DEPTH + load * (THREADS / TILE_DEPTH));
    }
    return Slot(thread / quads + load * (THREADS / quads), thread % quads);
}

// What a thread brings into workgroup memory at a time, and whether it lies inside; else it counts as zero.
struct Brought {
    left: array<vec4<f32>, LEFT_LOADS>,
    left_inside: array<bool, LEFT_LOADS>,
    right: array<vec4<f32>, RIGHT_LOADS>,
    right_inside: array<vec4<bool>, RIGHT_LOADS>,
}

fn bring(
    rows: ptr<function, array<vec4<i32>, LEFT_LOADS>>,
    columns: ptr<function, array<array<Place, 4>, RIGHT_LOADS>>,
    thread: u32,
    first: u32,
    end: u32,
) -> Brought {
    var brought: Brought;
    for (var load = 0u; load < LEFT_LOADS; load++) {
        let s = first + slot(thread, load, ROW_QUADS, LEFT_RUNS_ALONG_STEPS).step;
        let step = left_step(min(s, LAST_STEP));
        brought.left_inside[load] = !STEPS_END | (s < end);
        for (var lane = 0u; lane < 4; lane++) {
            brought.left[load][lane] = load_left((*rows)[load][lane] + step);
        }
    }
    for (var load = 0u; load < RIGHT_LOADS; load++) {
        let s = first + slot(thread, load, COLUMN_QUADS, RIGHT_RUNS_ALONG_STEPS).step;
        let step = right_step(min(s, LAST_STEP));
        for (var lane = 0u; lane < 4; lane++) {
            let place = together((*columns)[load][lane], step);
            let inside = meets(place);
            brought.right_inside[load][lane] = inside & (!STEPS_END | (s < end));
            brought.right[load][lane] = load_right(select(0, place.index, inside));
        }
    }
    return brought;
}

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

    var rows: array<vec4<i32>, LEFT_LOADS>;
    for (var load = 0u; load < LEFT_LOADS; load++) {
        let quad = slot(thread, load, ROW_QUADS, LEFT_RUNS_ALONG_STEPS).quad;
        for (var lane = 0u; lane < 4; lane++) {
            rows[load][lane] = left_row(group, min(first_row + lane * ROW_QUADS + quad, LAST_ROW));
        }
    }
    var columns: array<array<Place, 4>, RIGHT_LOADS>;
    for (var load = 0u; load < RIGHT_LOADS; load++) {
        let quad = slot(thread, load, COLUMN_QUADS, RIGHT_RUNS_ALONG_STEPS).quad;
        for (var lane = 0u; lane < 4; lane++) {
            columns[load][lane] = right_column(group, min(first_column + lane * COLUMN_QUADS + quad, LAST_COLUMN));
        }
    }

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
            let place = slot(thread, load, ROW_QUADS, LEFT_RUNS_ALONG_STEPS);
            let texel = select(vec4(0.0), brought.left[load], brought.left_inside[load]);
            left[place.step * LEFT_PITCH + place.quad] = texel;
            // mutate `row_sums[load] += texel` => `row_sums[load] = texel` (conv2d: bias gradient of the last steps alone)
            @if(bias_gradient) row_sums[load] += texel;
        }
        for (var load = 0u; load < RIGHT_LOADS; load++) {
            let place = slot(thread, load, COLUMN_QUADS, RIGHT_RUNS_ALONG_STEPS);
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
            let place = slot(thread, load, ROW_QUADS, LEFT_RUNS_ALONG_STEPS);
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
