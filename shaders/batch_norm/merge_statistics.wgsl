// mean[c] and variance[c] of all elements of channel c, from what partial_statistics.wgsl has of its lanes.
//
// The lanes' means are taken less their own mean m, which is a number close to all of them: what is left of a
// channel far from 0 is small, and exact. With d[l] = mean of lane l - m, of n[l] elements:
//
//   mean = m + sum of n[l] d[l] / elements
//   variance = (sum of squares[l] + n[l] d[l]^2 - elements (mean - m)^2) / elements
//
// (Chan, Golub and LeVeque 1983). Where m is not finite, it is the mean, and the variance NaN. part [channels, lanes, 3], mean and variance [channels]. One invocation per channel.

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::{is_finite, rectified};
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{part, mean, variance};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let c = linear_index(id);
    if (c >= arguments.count) {
        return;
    }
    let first = 3u * c * arguments.lanes;
    let end = first + 3u * arguments.lanes;
    var means = no_terms(id);
    for (var i = first; i < end; i += 3u) {
        means = plus(means, part[i] + part[i + 1u]);
    }
    let centre = total(means) / f32(arguments.lanes);
    // Lanes take runs of so many elements in turn.
    let runs = arguments.elements / arguments.run;
    let least = f32(runs / arguments.lanes * arguments.run);
    let longer = first + 3u * (runs % arguments.lanes);
    var offsets = no_terms(id);
    var squares = no_terms(id);
    for (var i = first; i < end; i += 3u) {
        let count = select(least, least + f32(arguments.run), i < longer);
        // mutate `part[i] - centre` => `part[i]` (batch_norm: means of lanes that are not centred)
        let offset = (part[i] - centre) + part[i + 1u];
        offsets = plus(offsets, count * offset);
        // mutate `count * offset * offset` => `count * offset` (batch_norm: merged deviations)
        squares = plus(squares, part[i + 2u] + count * offset * offset);
    }
    let elements = f32(arguments.elements);
    let offset = total(offsets) / elements;
    mean[c] = select(centre, centre + offset, is_finite(centre));
    // mutate ` * offset) / elements` => ` * offset) / (elements - 1.0)` (batch_norm: unbiased for biased variance)
    variance[c] = rectified(total(squares) - total(offsets) * offset) / elements;
}
