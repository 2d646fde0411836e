// part[c, l] = (sum of dy * (x - mean[c]), sum of dy) over the elements e of channel c with e mod
// LANES = l.
//
// x and dy [BATCH, CHANNELS, INNER], mean and the other vectors [CHANNELS], part [CHANNELS, LANES] pairs. One invocation a
// pair. With `gated`, dy is taken through an activation first. In a `wide` kernel, INNER and e count fours of neighbours.

import package::constants::{WORKGROUP, BATCH, CHANNELS, INNER, LANES, EPS};
import package::arguments::arguments;
import package::lib::element::sum_of;
import package::lib::grid::linear_index;
import package::lib::sum::{no_terms, plus, total};
import package::batch_norm::upstream::upstream;
import package::bindings::{x, dy, mean, variance, weight, bias, part};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let c = index / LANES;
    let centre = mean[c];
    @if(gated) let deviation = sqrt(variance[c] + EPS);
    @if(!gated) let deviation = 1.0;
    @if(affine) let factor = weight[c];
    @if(affine) let shift = bias[c];
    @if(!affine) let factor = 1.0;
    @if(!affine) let shift = 0.0;
    var products = no_terms(id);
    var sum = no_terms(id);
    for (var e = index % LANES; e < BATCH * INNER; e += LANES) {
        let i = (e / INNER * CHANNELS + c) * INNER + e % INNER;
        // mutate `x[i] - centre` => `x[i]` (batch_norm: sums that are not centred)
        let centred = x[i] - centre;
        let gradient = upstream(centred / deviation, factor, shift, dy[i]);
        products = plus(products, sum_of(gradient * centred));
        sum = plus(sum, sum_of(gradient));
    }
    part[index] = vec2(total(products), total(sum));
}
