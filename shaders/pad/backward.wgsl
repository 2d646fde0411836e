// dx[p, row, column] = sum of dy[p, r, c] over the rows r and columns c of the padded image that come from there, in their
// order:
//
//   reflect    BEFORE + row, BEFORE - row and BEFORE + 2 (SIZE - 1) - row, of those that are no border and in the image
//   replicate  BEFORE + row; for the first row all before it too, and for the last all after it
//   circular   BEFORE + row, less and more SIZE, where that is in the image
//
// dx [planes, HEIGHT, WIDTH], dy [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation per element of dx. What would lie before
// the image wraps around to huge numbers.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH, TOP, LEFT};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{dy, dx};

// How many places in the padded image are looked at for row (column) `at` of x.
fn places(at: u32, size: u32, before: u32, out: u32) -> u32 {
    @if(!replicate) { return 3u; }
    @if(replicate) {
        var count = 1u;
        if (at == 0u) { count += before; }
        // mutate `out - size - before` => `0u` (pad: border after the image dropped)
        if (at == size - 1u) { count += out - size - before; }
        return count;
    }
}

// The k-th of them; one that is none lies beyond the image.
fn place(k: u32, at: u32, size: u32, before: u32, out: u32) -> u32 {
    let itself = before + at;
    @if(replicate) {
        // mutate `select(itself, 0u, at == 0u)` => `itself` (pad: border before the image moved)
        return select(itself, 0u, at == 0u) + k;
    }
    @if(reflect) {
        // mutate `at > 0u` => `true` (pad: first row counted twice)
        if (k == 0u) { return select(out, before - at, at > 0u); }
        if (k == 1u) { return itself; }
        // mutate `at < size - 1u` => `true` (pad: last row counted twice)
        return select(out, before + 2u * (size - 1u) - at, at < size - 1u);
    }
    // mutate `(k - 1u) * size` => `k * size` (pad: first side of a circle dropped)
    @if(circular) { return itself + (k - 1u) * size; }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let row = i / WIDTH % HEIGHT;
    let column = i % WIDTH;
    let plane = i / (HEIGHT * WIDTH);
    let rows = places(row, HEIGHT, TOP, OUT_HEIGHT);
    let columns = places(column, WIDTH, LEFT, OUT_WIDTH);
    var sum = no_terms(id);
    for (var j = 0u; j < rows; j++) {
        let r = place(j, row, HEIGHT, TOP, OUT_HEIGHT);
        for (var k = 0u; k < columns; k++) {
            let c = place(k, column, WIDTH, LEFT, OUT_WIDTH);
            if (r < OUT_HEIGHT && c < OUT_WIDTH) {
                sum = plus(sum, dy[(plane * OUT_HEIGHT + r) * OUT_WIDTH + c]);
            }
        }
    }
    dx[i] = total(sum);
}
