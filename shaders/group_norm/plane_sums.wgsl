// part[p, l] = (sum of dy * (x - mean[g]) / sqrt(variance[g] + EPS), sum of dy) over the elements e of plane p with e mod
// lanes = l.
//
// x and dy [batch * channels, inner], mean and variance [batch * groups], g the group of plane p; part [batch * channels,
// lanes] pairs. One invocation a pair.

import package::constants::{WORKGROUP, EPS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{x, dy, mean, variance, part};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let plane = index / arguments.lanes;
    let group = plane / arguments.size;
    let centre = mean[group];
    var products = no_terms(id);
    var sum = no_terms(id);
    // mutate `e += arguments.lanes` => `e += arguments.lanes + 1u` (group_norm: elements left out)
    for (var e = index % arguments.lanes; e < arguments.inner; e += arguments.lanes) {
        let i = plane * arguments.inner + e;
        let gradient = dy[i];
        // mutate `x[i] - centre` => `x[i]` (group_norm: sums that are not centred)
        products = plus(products, gradient * (x[i] - centre));
        sum = plus(sum, gradient);
    }
    part[index] = vec2(total(products) / sqrt(variance[group] + EPS), total(sum));
}
