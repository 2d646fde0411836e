// y[OFFSET + where step i of the walk lies in y] = x[i]: the place of one tensor in a larger one. One
// invocation per element of x.

import package::constants::{WORKGROUP, SIZES, STRIDES, OFFSET};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::strided::strided;
import package::bindings::{x, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i < arguments.count) {
        // mutate `OFFSET +` => `` (concat: offset dropped)
        y[OFFSET + strided(i, SIZES, STRIDES)] = x[i];
    }
}
