// squares[2 b], squares[2 b + 1] = the sums of p^2 and of d^2 over the BLOCK elements of block b. One invocation per block;
// `first` is the block that the bindings begin with.

import package::constants::{WORKGROUP, BLOCK};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{parameters, directions, squares};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let b = linear_index(id);
    if (b >= arguments.count) {
        return;
    }
    var sums = vec2(0.0);
    for (var i = b * BLOCK; i < (b + 1) * BLOCK; i++) {
        let pair = vec2(parameters[i], directions[i]);
        sums += pair * pair;
    }
    squares[2 * (arguments.first + b)] = sums.x;
    // mutate `= sums.y` => `= sums.x` (optimizer: norm of weights for that of directions)
    squares[2 * (arguments.first + b) + 1] = sums.y;
}
