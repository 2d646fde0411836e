// s[n,c,i] = K + ALPHA * sum of x[n,j,i]^2 over the channels j from c - SIZE/2 to c + (SIZE-1)/2 that
// exist, y = x / s^BETA
//
// x, y and s [N, CHANNELS, INNER]; ALPHA is already divided by the size. One invocation per element. A
// channel before the first wraps around to a huge number, so that one comparison finds both ends.

import package::constants::{WORKGROUP, CHANNELS, INNER, SIZE, ALPHA, BETA, K};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::unless_nan;
import package::bindings::{x, y, sums};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let c = i / INNER % CHANNELS;
    var squares = 0.0;
    for (var d = 0u; d < SIZE; d++) {
        // mutate `SIZE / 2u` => `(SIZE - 1u) / 2u` (local_response_norm: window of even size moved)
        let j = c + d - SIZE / 2u;
        if (j < CHANNELS) {
            let value = x[i + j * INNER - c * INNER];
            squares = fma(value, value, squares);
        }
    }
    // mutate `fma(ALPHA, squares, K)` => `ALPHA * squares` (local_response_norm: dropped k)
    let s = fma(ALPHA, squares, K);
    // mutate `unless_nan(s, pow(s, -BETA))` => `pow(s, -BETA)` (local_response_norm: NaN lost in a power)
    y[i] = x[i] * unless_nan(s, pow(s, -BETA));
    @if(keeps_sums) { sums[i] = s; }
}
