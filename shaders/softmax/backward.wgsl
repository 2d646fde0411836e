// dx = y (dy - sum), or dy - exp(y) sum for the logarithm, with the sum of the row from
// row_gradients.wgsl
//
// y, dy and dx [outer, SIZE, INNER], sums [outer * INNER]. One invocation per element.

import package::constants::{WORKGROUP, SIZE, INNER};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::exponential;
import package::bindings::{y, dy, sums, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let sum = sums[i / (SIZE * INNER) * INNER + i % INNER];
    // mutate `exponential(y[i]) * sum` => `y[i] * sum` (log_softmax: logarithm for probability)
    @if(log) { dx[i] = dy[i] - exponential(y[i]) * sum; }
    @else { dx[i] = y[i] * (dy[i] - sum); }
}
