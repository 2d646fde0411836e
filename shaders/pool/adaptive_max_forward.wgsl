// y[p,oy,ox] = max of x[p] over rows floor(oy H / OH) .. ceil((oy + 1) H / OH) - 1, columns alike; argmax[p,oy,ox] = where in
// its plane the first such maximum lies. NaN is larger than any number, and the last of them counts.
//
// x [planes, HEIGHT, WIDTH], y and argmax [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation per element of y.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::pool::adaptive::spans;
import package::lib::nan::is_nan;
import package::bindings::{x, y, argmax};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let o = linear_index(id);
    if (o >= arguments.count) {
        return;
    }
    let window = spans(o, vec2(OUT_HEIGHT, OUT_WIDTH), vec2(HEIGHT, WIDTH));
    var place = window.rows.x * WIDTH + window.columns.x;
    var best = x[window.plane + place];
    // What is NaN is not compared with.
    var beyond = is_nan(best);
    for (var row = window.rows.x; row < window.rows.y; row++) {
        for (var column = window.columns.x; column < window.columns.y; column++) {
            let index = row * WIDTH + column;
            let value = x[window.plane + index];
            let nan = is_nan(value);
            // mutate `nan | (` => `(` (adaptive_max_pool2d: NaN lost in maxima)
            // mutate `value > best` => `value >= best` (adaptive_max_pool2d: last of equal maxima)
            let better = nan | (!beyond & (value > best));
            best = select(best, value, better);
            place = select(place, index, better);
            beyond = beyond | nan;
        }
    }
    y[o] = best;
    @if(argmax) { argmax[o] = place; }
}
