// y[i] = x[i] * (0 where bits(i) < THRESHOLD, else SCALE); the bits come from seed, step, SALT and i.
//
// A product, so that of what is not finite NaN is left. // numbers: seed's low and high half, step. One invocation per element.

import package::constants::{WORKGROUP, SALT, THRESHOLD, SCALE};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{x, numbers, y};

// A bijection of 32 bits whose outputs pass for random (Wellons' lowbias32).
fn scramble(value: u32) -> u32 {
    var bits = value;
    bits = (bits ^ (bits >> 16)) * 0x7feb352du;
    bits = (bits ^ (bits >> 15)) * 0x846ca68bu;
    return bits ^ (bits >> 16);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    // mutate `numbers[2]` => `numbers[1]` (dropout: step ignored)
    let key = scramble(numbers[0] ^ scramble(numbers[1] ^ scramble(numbers[2] ^ scramble(SALT))));
    // mutate `select(SCALE, ` => `select(1.0, ` (dropout: what is kept is not scaled)
    // mutate `scramble(key ^ scramble(i))` => `scramble(i)` (dropout: seed and step ignored)
    y[i] = x[i] * select(SCALE, 0.0, scramble(key ^ scramble(i)) < THRESHOLD);
}
