// The tile body of all three passes on CPU adapters: sums[row, column] = sum over steps of
// rows(step)[row] * columns(step)[column], for 4 * ROW_QUADS rows and COLUMNS columns an invocation.
//
// `operands` says where a tile lies, which texels it multiplies, and where its sums go. A block is
// what one texel of the columns covers: four steps of one column (`steps_in_texel`), or one step of
// four columns. All sums stay in registers, or in the first level of cache; there is no barrier and
// no workgroup memory.

import package::constants::{WORKGROUP, ROW_QUADS, COLUMNS, COLUMN_TEXELS, BLOCK_STEPS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::operands::{Tile, tile_at, is_idle, skips, load_columns, load_rows, store};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count || is_idle(index)) {
        return;
    }
    let tile = tile_at(index);
    // Arrays within arrays, each as long as the loop over it: then drivers unroll the loops and keep
    // the sums in registers.
    var sums: array<array<vec4<f32>, COLUMNS>, ROW_QUADS>;
    for (var q = 0u; q < ROW_QUADS; q++) {
        for (var j = 0u; j < COLUMNS; j++) {
            sums[q][j] = vec4(0.0);
        }
    }
    for (var block = tile.first_block; block < tile.end_block; block++) {
        if (skips(tile, block)) {
            continue;
        }
        var columns: array<vec4<f32>, COLUMN_TEXELS>;
        for (var j = 0u; j < COLUMN_TEXELS; j++) {
            columns[j] = load_columns(tile, block, j);
        }
        for (var step = 0u; step < BLOCK_STEPS; step++) {
            for (var q = 0u; q < ROW_QUADS; q++) {
                let row = load_rows(tile, block, step, q);
                for (var j = 0u; j < COLUMNS; j++) {
                    @if(steps_in_texel) let column = columns[j][step];
                    @if(!steps_in_texel) let column = columns[j / 4][j % 4];
                    sums[q][j] = fma(row, vec4(column), sums[q][j]);
                }
            }
        }
    }
    for (var q = 0u; q < ROW_QUADS; q++) {
        for (var j = 0u; j < COLUMNS; j++) {
            store(tile, q, j, sums[q][j]);
        }
    }
}
