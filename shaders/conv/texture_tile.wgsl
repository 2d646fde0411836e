// The tile body of all three passes on CPU adapters: sums[row, column] = sum over steps of
// rows(step)[row] * columns(step)[column], for 4 * ROW_QUADS rows and COLUMN_TEXELS * TEXEL_COLUMNS
// columns an invocation.
//
// `operands` says where a tile lies, which texels it multiplies, and where its sums go. A block is
// what one texel of the columns covers: four steps of one column (`steps_in_texel`), or one step of
// four columns. Blocks come in runs, along which texels lie one step apart, so that the inner loop
// divides by nothing: one pipeline serves the layers of a whole network. There is no barrier and no
// workgroup memory.
//
// A tile has more sums than a CPU has registers, so most of them lie in its first level of cache. A sum
// is brought from there and back once for STEPS multiply-adds: those of a block, or of BLOCKS blocks.

import package::constants::{WORKGROUP, ROW_QUADS, COLUMN_TEXELS, TEXEL_COLUMNS, TEXEL_STEPS, BLOCKS, STEPS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::operands::{tile_at, is_idle, column_of, place_of, row_of, start_of, store};
import package::operands::{first_run, next_run, is_past, length_of, shift_of, pitch, load_columns, load_rows};

const COLUMNS: i32 = COLUMN_TEXELS * TEXEL_COLUMNS;
// The sums are stored part by part.
const PARTS: i32 = min(COLUMNS, 4);
const PART_COLUMNS: i32 = COLUMNS / PARTS;

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
    // Arrays within arrays, each as long as the loop over it: then drivers unroll the loops and keep
    // the sums in registers.
    var sums: array<array<array<vec4<f32>, PART_COLUMNS>, PARTS>, ROW_QUADS>;
    for (var q = 0; q < ROW_QUADS; q++) {
        let start = start_of(tile, q);
        for (var p = 0; p < PARTS; p++) {
            for (var j = 0; j < PART_COLUMNS; j++) {
                sums[q][p][j] = start;
            }
        }
    }
    var rows: array<i32, ROW_QUADS>;
    for (var q = 0; q < ROW_QUADS; q++) {
        rows[q] = row_of(tile, q);
    }
    let block_pitch = pitch();
    for (var run = first_run(tile); !is_past(tile, run); run = next_run(tile, run)) {
        let shift = shift_of(run);
        let length = length_of(tile, run);
        for (var block = 0; block < length; block += BLOCKS) {
            var columns: array<array<vec4<f32>, COLUMN_TEXELS>, BLOCKS>;
            for (var b = 0; b < BLOCKS; b++) {
                for (var t = 0; t < COLUMN_TEXELS; t++) {
                    columns[b][t] = load_columns(places[t] + shift, (block + b) * block_pitch);
                }
            }
            for (var q = 0; q < ROW_QUADS; q++) {
                var row: array<vec4<f32>, STEPS>;
                for (var i = 0; i < STEPS; i++) {
                    row[i] = load_rows(run, rows[q], block * TEXEL_STEPS + i);
                }
                for (var p = 0; p < PARTS; p++) {
                    for (var j = 0; j < PART_COLUMNS; j++) {
                        let column = p * PART_COLUMNS + j;
                        for (var i = 0; i < STEPS; i++) {
                            @if(steps_in_texel) let value = columns[0][column][i];
                            @if(!steps_in_texel) let value = columns[i][column / 4][column % 4];
                            sums[q][p][j] = fma(row[i], vec4(value), sums[q][p][j]);
                        }
                    }
                }
            }
        }
    }
    // Always PARTS, which compilers must not know: they would unroll the loop, and a driver that writes lane
    // by lane takes seconds to compile some hundred stores.
    let parts = min(i32(arguments.count - index), 1) * PARTS;
    for (var part = 0; part < parts; part++) {
        for (var j = 0; j < PART_COLUMNS; j++) {
            let column = column_of(tile, part * PART_COLUMNS + j);
            for (var q = 0; q < ROW_QUADS; q++) {
                var sum = sums[q][0][j];
                for (var p = 1; p < PARTS; p++) {
                    sum = select(sum, sums[q][p][j], p == part);
                }
                store(tile, column, q, sum);
            }
        }
    }
}
