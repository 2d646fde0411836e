// The tile body of all three passes on CPU adapters: sums[row, column] = sum over steps of
// rows(step)[row] * columns(step)[column], for 4 * ROW_QUADS rows and COLUMN_TEXELS * TEXEL_COLUMNS
// columns per invocation.
//
// `operands` says where a tile lies, which texels it multiplies, and where its sums go. A block is
// what one texel of the columns covers: four steps of one column (`steps_in_texel`), or one step of
// four columns. Blocks come in runs, along which texels lie one step apart, so that the inner loop
// divides by nothing: one pipeline serves the layers of a whole network. There is no barrier and no
// workgroup memory.
//
// A tile has more sums than a CPU has registers, so most of them lie in its first level of cache. A sum
// is brought from there and back once for STEPS multiply-adds: those of a block, or of BLOCKS blocks.
//
// Sums, columns and rows must not be arrays in memory: a driver then writes lane by lane. It takes arrays
// apart once every loop over them is unrolled. Some drivers unroll a loop that runs along an array; newer ones
// only what stays small, which the loops over four rows do. So the quads of rows are written out.

import package::constants::{WORKGROUP, ROW_QUADS, COLUMN_TEXELS, TEXEL_COLUMNS, TEXEL_STEPS, BLOCKS, STEPS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::operands::{tile_at, is_idle, column_of, place_of, row_of, start_of, store};
import package::operands::{Run, first_run, next_run, is_past, length_of, shift_of, pitch, load_columns, load_rows};

const COLUMNS: i32 = COLUMN_TEXELS * TEXEL_COLUMNS;
// The sums are stored part by part.
const PARTS: i32 = min(COLUMNS, 4);
const PART_COLUMNS: i32 = COLUMNS / PARTS;

// The sums of four rows: arrays within arrays, each as long as the loop over it.
alias Sums = array<array<vec4<f32>, PART_COLUMNS>, PARTS>;
alias Columns = array<array<vec4<f32>, COLUMN_TEXELS>, BLOCKS>;
alias Rows = array<vec4<f32>, STEPS>;

fn begin(sums: ptr<function, Sums>, start: vec4<f32>) {
    for (var p = 0; p < PARTS; p++) {
        for (var j = 0; j < PART_COLUMNS; j++) {
            (*sums)[p][j] = start;
        }
    }
}

fn add(sums: ptr<function, Sums>, columns: ptr<function, Columns>, row: Rows) {
    for (var p = 0; p < PARTS; p++) {
        for (var j = 0; j < PART_COLUMNS; j++) {
            let column = p * PART_COLUMNS + j;
            var sum = (*sums)[p][j];
            // mutate `i < STEPS` => `i < max(STEPS, 2) - 1` (conv2d: last step left out)
            for (var i = 0; i < STEPS; i++) {
                @if(steps_in_texel) let value = (*columns)[0][column][i];
                @if(!steps_in_texel) let value = (*columns)[i][column / 4][column % 4];
                sum = fma(row[i], vec4(value), sum);
            }
            (*sums)[p][j] = sum;
        }
    }
}

// Four rows of STEPS steps.
fn load(run: Run, row: i32, step: i32) -> Rows {
    var rows: Rows;
    for (var i = 0; i < STEPS; i++) {
        rows[i] = load_rows(run, row, step + i);
    }
    return rows;
}

// Sum j of a part that is not known when the shader is compiled.
fn of_part(sums: ptr<function, Sums>, part: i32, j: i32) -> vec4<f32> {
    var sum = (*sums)[0][j];
    for (var p = 1; p < PARTS; p++) {
        // mutate `p == part` => `p + 1 == part` (conv2d: sums of one part stored in another's place)
        sum = select(sum, (*sums)[p][j], p == part);
    }
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count || is_idle(i32(index))) {
        return;
    }
    let tile = tile_at(i32(index));
    var places: array<vec2<i32>, COLUMN_TEXELS>;
    for (var t = 0; t < COLUMN_TEXELS; t++) {
        places[t] = place_of(tile, column_of(tile, t * TEXEL_COLUMNS));
    }
    var sums0: Sums;
    var sums1: Sums;
    var sums2: Sums;
    var sums3: Sums;
    begin(&sums0, start_of(tile, 0));
    if (ROW_QUADS > 1) {
        begin(&sums1, start_of(tile, 1));
    }
    if (ROW_QUADS > 2) {
        begin(&sums2, start_of(tile, 2));
        begin(&sums3, start_of(tile, 3));
    }
    let row0 = row_of(tile, 0);
    let row1 = row_of(tile, 1);
    let row2 = row_of(tile, 2);
    let row3 = row_of(tile, 3);
    let block_pitch = pitch();
    for (var run = first_run(tile); !is_past(tile, run); run = next_run(tile, run)) {
        let shift = shift_of(run);
        let length = length_of(tile, run);
        // mutate `block < length` => `block + BLOCKS < length` (conv2d: last block of a run left out)
        for (var block = 0; block < length; block += BLOCKS) {
            var columns: Columns;
            for (var b = 0; b < BLOCKS; b++) {
                for (var t = 0; t < COLUMN_TEXELS; t++) {
                    // mutate `(block + b)` => `block` (conv2d: columns of the first of two blocks for both)
                    columns[b][t] = load_columns(places[t] + shift, (block + b) * block_pitch);
                }
            }
            let step = block * TEXEL_STEPS;
            add(&sums0, &columns, load(run, row0, step));
            if (ROW_QUADS > 1) {
                add(&sums1, &columns, load(run, row1, step));
            }
            if (ROW_QUADS > 2) {
                add(&sums2, &columns, load(run, row2, step));
                add(&sums3, &columns, load(run, row3, step));
            }
        }
    }
    // Always PARTS, which compilers must not know: they would unroll the loop, and a driver that writes lane
    // by lane takes seconds to compile some hundred stores.
    let parts = min(i32(arguments.count - index), 1) * PARTS;
    for (var part = 0; part < parts; part++) {
        for (var j = 0; j < PART_COLUMNS; j++) {
            let column = column_of(tile, part * PART_COLUMNS + j);
            store(tile, column, 0, of_part(&sums0, part, j));
            if (ROW_QUADS > 1) {
                store(tile, column, 1, of_part(&sums1, part, j));
            }
            if (ROW_QUADS > 2) {
                store(tile, column, 2, of_part(&sums2, part, j));
                store(tile, column, 3, of_part(&sums3, part, j));
            }
        }
    }
}
