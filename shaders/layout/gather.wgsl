// y[i] = FACTOR * x[OFFSET + where step i of the walk lies in x]: a transposition, a slice or a
// broadcast. One invocation per element of y, or per four neighbours, which have one element of an x that repeats.

import package::constants::{WORKGROUP, SIZES, STRIDES, OFFSET, FACTOR};
import package::arguments::arguments;
import package::lib::element::Element;
import package::lib::grid::linear_index;
import package::lib::strided::strided;
import package::bindings::{x, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `FACTOR *` => `` (mean: factor dropped)
        // mutate `OFFSET +` => `` (slice: offset dropped)
        y[i] = FACTOR * Element(x[OFFSET + strided(i, SIZES, STRIDES)]);
    }
}
