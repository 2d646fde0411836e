// part[o, l] = FACTOR * sum of x[kept(o) + reduced(r)] over the r < REDUCED with r mod LANES = l
//
// x any tensor, whose dimensions are either kept or reduced; kept(o) and reduced(r) walk over the two
// sorts. part [outputs, LANES]. One invocation per element of part: neighbours differ in r.

import package::constants::{WORKGROUP, LANES, REDUCED, FACTOR};
import package::constants::{KEPT_SIZES, KEPT_STRIDES, REDUCED_SIZES, REDUCED_STRIDES};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::lib::strided::strided;
import package::bindings::{x, part};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let first = strided(index / LANES, KEPT_SIZES, KEPT_STRIDES);
    var sum = no_terms(id);
    for (var r = index % LANES; r < REDUCED; r += LANES) {
        sum = plus(sum, x[first + strided(r, REDUCED_SIZES, REDUCED_STRIDES)]);
    }
    // mutate `FACTOR * total(sum)` => `total(sum)` (mean: factor dropped)
    part[index] = FACTOR * total(sum);
}
