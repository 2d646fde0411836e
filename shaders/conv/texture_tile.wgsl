// The tile body of all three passes on CPU adapters: sums[row, column] = sum over steps of
// rows(step)[row] * columns(step)[column], for 4 * ROW_QUADS rows and COLUMN_TEXELS * TEXEL_COLUMNS
// columns an invocation.
//
// `operands` says where a tile lies, which texels it multiplies, and where its sums go. A block is
// what one texel of the columns covers: four steps of one column (`steps_in_texel`), or one step of
// four columns. Columns and blocks are walked by counting, since a division by a size that is known
// only at run time costs as much as a block; so one pipeline serves the layers of a whole network.
// All sums stay in registers, or in the first level of cache; there is no barrier and no workgroup
// memory.

import package::constants::{WORKGROUP, ROW_QUADS, COLUMN_TEXELS, TEXEL_COLUMNS, TEXEL_STEPS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::operands::{tile_at, is_idle, first_column, next_column, place_of};
import package::operands::{first_block, next_block, is_past, load_columns, load_rows, store};

const COLUMNS: i32 = COLUMN_TEXELS * TEXEL_COLUMNS;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count || is_idle(i32(index))) {
        return;
    }
    let tile = tile_at(i32(index));
    var places: array<vec2<i32>, COLUMN_TEXELS>;
    var column = first_column(tile);
    for (var t = 0; t < COLUMN_TEXELS; t++) {
        places[t] = place_of(tile, column);
        column = next_column(column);
    }
    // Arrays within arrays, each as long as the loop over it: then drivers unroll the loops and keep
    // the sums in registers.
    var sums: array<array<vec4<f32>, COLUMNS>, ROW_QUADS>;
    for (var q = 0; q < ROW_QUADS; q++) {
        for (var j = 0; j < COLUMNS; j++) {
            sums[q][j] = vec4(0.0);
        }
    }
    for (var block = first_block(tile); !is_past(tile, block); block = next_block(tile, block)) {
        var columns: array<vec4<f32>, COLUMN_TEXELS>;
        for (var t = 0; t < COLUMN_TEXELS; t++) {
            columns[t] = load_columns(block, places[t]);
        }
        for (var step = 0; step < TEXEL_STEPS; step++) {
            for (var q = 0; q < ROW_QUADS; q++) {
                let row = load_rows(tile, block, step, q);
                for (var j = 0; j < COLUMNS; j++) {
                    @if(steps_in_texel) let value = columns[j][step];
                    @if(!steps_in_texel) let value = columns[j / 4][j % 4];
                    sums[q][j] = fma(row, vec4(value), sums[q][j]);
                }
            }
        }
    }
    column = first_column(tile);
    for (var j = 0; j < COLUMNS; j++) {
        for (var q = 0; q < ROW_QUADS; q++) {
            store(tile, column, j % TEXEL_COLUMNS, q, sums[q][j]);
        }
        if (j % TEXEL_COLUMNS == TEXEL_COLUMNS - 1) {
            column = next_column(column);
        }
    }
}
