// part[c, l] = (s, mean - s, sum of squared deviations) of the elements e of channel c with e mod LANES = l, s the
// median of their first, middle and last, or 0 where that is not finite.
//
// Sums are of x less s: their squares do not cancel, however large the mean, and though one element be far from all.
// x [BATCH, CHANNELS, INNER], part [CHANNELS, LANES, 3]. One invocation a pair of channel and lane. In a `wide` kernel, INNER
// and e count fours of neighbours, and s is the median of the first of each.

import package::constants::{WORKGROUP, BATCH, CHANNELS, INNER, LANES};
import package::arguments::arguments;
import package::lib::element::{Element, WIDTH, first_of, sum_of};
import package::lib::grid::linear_index;
import package::lib::nan::{is_finite, rectified};
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{x, part};

fn element(c: u32, e: u32) -> Element {
    // mutate `e % INNER]` => `e % INNER + 1u]` (batch_norm: one element too far)
    return x[(e / INNER * CHANNELS + c) * INNER + e % INNER];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = linear_index(id);
    if (index >= arguments.count) {
        return;
    }
    let c = index / LANES;
    let lane = index % LANES;
    let steps = (BATCH * INNER - lane - 1u) / LANES;
    let first = first_of(element(c, lane));
    let middle = first_of(element(c, lane + steps / 2u * LANES));
    let last = first_of(element(c, lane + steps * LANES));
    // mutate `max(min(first, middle), min(max(first, middle), last))` => `first` (batch_norm: sums shifted by an element far from all others)
    let median = max(min(first, middle), min(max(first, middle), last));
    let shift = select(0.0, median, is_finite(median));
    var sum = no_terms(id);
    var squares = no_terms(id);
    for (var e = lane; e < BATCH * INNER; e += LANES) {
        // mutate `- shift;` => `;` (batch_norm: sums that are not shifted)
        let value = element(c, e) - shift;
        sum = plus(sum, sum_of(value));
        squares = plus(squares, sum_of(value * value));
    }
    let mean = total(sum) / f32(WIDTH * (steps + 1u));
    part[3u * index] = shift;
    part[3u * index + 1u] = mean;
    part[3u * index + 2u] = rectified(total(squares) - total(sum) * mean);
}
