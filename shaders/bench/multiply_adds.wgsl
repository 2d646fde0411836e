// y[i] = sum of CHAINS vec4 chains of ROUNDS * STEPS dependent multiply-adds x := x * factor + term: nothing but
// the arithmetic units limits it. Both are read when it runs, since a compiler makes additions of a constant half.
// One invocation per element.

import package::constants::{WORKGROUP, ROUNDS, STEPS, CHAINS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::y;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    var chains: array<vec4<f32>, CHAINS>;
    // mutate `c = 0u; c < CHAINS` => `c = 1u; c < CHAINS` (multiply_adds: a chain left out)
    for (var c = 0u; c < CHAINS; c++) {
        chains[c] = vec4(f32(i) * f32(c + 1)) + vec4(0.0, 1.0, 2.0, 3.0);
    }
    for (var round = 0u; round < ROUNDS; round++) {
        for (var c = 0u; c < CHAINS; c++) {
            var x = chains[c];
            // mutate `step < STEPS` => `step + 1 < STEPS` (multiply_adds: a step left out)
            for (var step = 0u; step < STEPS; step++) {
                x = fma(x, vec4(arguments.factor), vec4(arguments.term));
            }
            chains[c] = x;
        }
    }
    var sum = vec4(0.0);
    for (var c = 0u; c < CHAINS; c++) {
        sum += chains[c];
    }
    y[i] = sum.x + sum.y + sum.z + sum.w;
}
