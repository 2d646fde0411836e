// y[p, row, column] = x[p, source(row - TOP), source(column - LEFT)], or VALUE where a constant stands beside x; source is
//
//   constant   itself
//   reflect    |r|, and from the end on 2 (SIZE - 1) - r
//   replicate  the nearest within x
//   circular   r modulo SIZE
//
// x [planes, HEIGHT, WIDTH], y [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation per element of y. What lies before x wraps
// around to huge numbers.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH, TOP, LEFT};
@if(constant) import package::constants::VALUE;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{x, y};

// Row (column) `at` of the padded image in x, with `before` of them before x.
fn source(at: u32, size: u32, before: u32) -> u32 {
    let r = at - before;
    @if(constant) { return r; }
    @if(reflect) {
        // mutate `before - at` => `before - at - 1u` (pad: border mirrored too)
        let above = select(r, before - at, at < before);
        // mutate `2u * (size - 1u) - above` => `2u * size - 1u - above` (pad: border mirrored at the end)
        return select(above, 2u * (size - 1u) - above, above >= size);
    }
    // mutate `min(r, size - 1u)` => `r % size` (pad: end not repeated)
    @if(replicate) { return select(min(r, size - 1u), 0u, at < before); }
    // mutate `(r + size)` => `(r + size - 1u)` (pad: circle moved)
    @if(circular) { return (r + size) % size; }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let o = linear_index(id);
    if (o >= arguments.count) {
        return;
    }
    let row = source(o / OUT_WIDTH % OUT_HEIGHT, HEIGHT, TOP);
    // mutate `WIDTH, LEFT` => `WIDTH, TOP` (pad: padding above for that on the left)
    let column = source(o % OUT_WIDTH, WIDTH, LEFT);
    let plane = o / (OUT_HEIGHT * OUT_WIDTH);
    @if(!constant) { y[o] = x[(plane * HEIGHT + row) * WIDTH + column]; }
    @if(constant) {
        let inside = row < HEIGHT && column < WIDTH;
        let value = x[(plane * HEIGHT + min(row, HEIGHT - 1u)) * WIDTH + min(column, WIDTH - 1u)];
        // mutate `select(VALUE, value, inside)` => `select(0.0, value, inside)` (pad: zeros for a constant)
        y[o] = select(VALUE, value, inside);
    }
}
