// What the threads of a tile bring in from both sides of its product, TILE_DEPTH steps at a time: loads of four rows or
// columns each, a quarter of the tile apart, so that neighbouring threads load neighbours in memory.
//
// `operands` says where an element lies, as a part that its row or column decides, found once, and a part that its step
// decides; and along which of the two its memory runs. No load stands in a branch: rows and columns beyond the result repeat
// the last one, and are not stored; what is no element of an image is read elsewhere, and counts as zero.

import package::constants::{TILE_ROWS, TILE_COLUMNS, TILE_DEPTH, THREADS, ROWS, COLUMNS, DEPTH};
import package::conv::place::{Place, together};
import package::operands::{LEFT_RUNS_ALONG_STEPS, left_row, left_step, load_left};
import package::operands::{RIGHT_RUNS_ALONG_STEPS, right_column, right_step, meets, load_right};

const ROW_QUADS: u32 = TILE_ROWS / 4;
const COLUMN_QUADS: u32 = TILE_COLUMNS / 4;
// Quads of each side that a thread brings in at a time. Where they do not divide, some are beyond the tile.
const LEFT_LOADS: u32 = (TILE_DEPTH * ROW_QUADS + THREADS - 1) / THREADS;
const RIGHT_LOADS: u32 = (TILE_DEPTH * COLUMN_QUADS + THREADS - 1) / THREADS;
const LAST_ROW: u32 = u32(ROWS) - 1;
const LAST_COLUMN: u32 = u32(COLUMNS) - 1;
const LAST_STEP: u32 = max(u32(DEPTH), 1) - 1;
// Whether the last steps may be fewer than TILE_DEPTH.
const STEPS_END: bool = u32(DEPTH) % TILE_DEPTH != 0;

// Where in the tile a quad lies: at one step, rows or columns `quad`, `quad` + a quarter of them, and so on.
struct Slot {
    step: u32,
    quad: u32,
}

fn left_slot(thread: u32, load: u32) -> Slot {
    return slot(thread, load, ROW_QUADS, LEFT_RUNS_ALONG_STEPS);
}

fn right_slot(thread: u32, load: u32) -> Slot {
    return slot(thread, load, COLUMN_QUADS, RIGHT_RUNS_ALONG_STEPS);
}

fn slot(thread: u32, load: u32, quads: u32, along_steps: bool) -> Slot {
    let wide = select(quads, TILE_DEPTH, along_steps);
    // Said apart, since compilers do not see that a thread's step, or quad, is the same in all of its loads.
    let whole = THREADS % wide == 0;
    let i = select(thread + load * THREADS, thread, whole);
    let along = i % wide;
    let across = i / wide + select(0, load * (THREADS / wide), whole);
    return Slot(select(across, along, along_steps), select(along, across, along_steps));
}

// Whether a slot lies in the tile.
fn is_in_left(slot: Slot) -> bool {
    return TILE_DEPTH * ROW_QUADS % THREADS == 0 || (slot.step < TILE_DEPTH && slot.quad < ROW_QUADS);
}

fn is_in_right(slot: Slot) -> bool {
    return TILE_DEPTH * COLUMN_QUADS % THREADS == 0 || (slot.step < TILE_DEPTH && slot.quad < COLUMN_QUADS);
}

// What the rows and columns of a thread's loads say of where elements lie.
fn rows_of(thread: u32, group: u32, first_row: u32) -> array<vec4<i32>, LEFT_LOADS> {
    var rows: array<vec4<i32>, LEFT_LOADS>;
    for (var load = 0u; load < LEFT_LOADS; load++) {
        let quad = left_slot(thread, load).quad;
        for (var lane = 0u; lane < 4; lane++) {
            // mutate `lane * ROW_QUADS + quad` => `quad` (conv2d: rows of the first quarter in all four)
            rows[load][lane] = left_row(group, min(first_row + lane * ROW_QUADS + quad, LAST_ROW));
        }
    }
    return rows;
}

fn columns_of(thread: u32, group: u32, first_column: u32) -> array<array<Place, 4>, RIGHT_LOADS> {
    var columns: array<array<Place, 4>, RIGHT_LOADS>;
    for (var load = 0u; load < RIGHT_LOADS; load++) {
        let quad = right_slot(thread, load).quad;
        for (var lane = 0u; lane < 4; lane++) {
            columns[load][lane] = right_column(group, min(first_column + lane * COLUMN_QUADS + quad, LAST_COLUMN));
        }
    }
    return columns;
}

// What a thread brings in at a time, and whether it lies inside; else it counts as zero.
struct Brought {
    left: array<vec4<f32>, LEFT_LOADS>,
    left_inside: array<bool, LEFT_LOADS>,
    right: array<vec4<f32>, RIGHT_LOADS>,
    right_inside: array<vec4<bool>, RIGHT_LOADS>,
}

// The steps from `first` on, of those before `end`.
fn bring(
    rows: ptr<function, array<vec4<i32>, LEFT_LOADS>>,
    columns: ptr<function, array<array<Place, 4>, RIGHT_LOADS>>,
    thread: u32,
    first: u32,
    end: u32,
) -> Brought {
    var brought: Brought;
    for (var load = 0u; load < LEFT_LOADS; load++) {
        let s = first + left_slot(thread, load).step;
        let step = left_step(min(s, LAST_STEP));
        brought.left_inside[load] = !STEPS_END | (s < end);
        for (var lane = 0u; lane < 4; lane++) {
            brought.left[load][lane] = load_left((*rows)[load][lane] + step);
        }
    }
    for (var load = 0u; load < RIGHT_LOADS; load++) {
        let s = first + right_slot(thread, load).step;
        let step = right_step(min(s, LAST_STEP));
        for (var lane = 0u; lane < 4; lane++) {
            let place = together((*columns)[load][lane], step);
            let inside = meets(place);
            // mutate `inside & (` => `true & (` (conv2d: taps beyond the image)
            brought.right_inside[load][lane] = inside & (!STEPS_END | (s < end));
            brought.right[load][lane] = load_right(select(0, place.index, inside));
        }
    }
    return brought;
}
