// dx[n,c,i] = dy / s^BETA - 2 ALPHA BETA x * sum of terms[n,j,i] over the channels j whose sum holds c:
// j from c - (SIZE-1)/2 to c + SIZE/2
//
// All tensors [N, CHANNELS, INNER]; ALPHA is already divided by the size, terms come from
// backward_terms.wgsl. One invocation per element.

import package::constants::{WORKGROUP, CHANNELS, INNER, SIZE, ALPHA, BETA};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::unless_nan;
import package::bindings::{x, s, dy, terms, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let c = i / INNER % CHANNELS;
    var sum = 0.0;
    for (var d = 0u; d < SIZE; d++) {
        // mutate `(SIZE - 1u) / 2u` => `SIZE / 2u` (local_response_norm: window of even size not turned)
        let j = c + d - (SIZE - 1u) / 2u;
        if (j < CHANNELS) {
            sum += terms[i + j * INNER - c * INNER];
        }
    }
    // mutate `2.0 * ALPHA` => `ALPHA` (local_response_norm: half of the second term)
    dx[i] = dy[i] * unless_nan(s[i], pow(s[i], -BETA)) - 2.0 * ALPHA * BETA * x[i] * sum;
}
