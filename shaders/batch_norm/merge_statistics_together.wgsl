// As merge_statistics.wgsl, by a workgroup for each channel: invocation t has the lanes t, t + WORKGROUP, ...

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::nan::{is_finite, rectified};
import package::lib::sum::{no_terms, plus, total};
import package::lib::together::sum_of_all;
import package::bindings::{part, mean, variance};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let c = id.y * (arguments.grid_width / WORKGROUP) + id.x;
    if (c >= arguments.count / WORKGROUP) {
        return;
    }
    let first = 3u * c * arguments.lanes;
    let end = first + 3u * arguments.lanes;
    var own_means = no_terms(id);
    // mutate `first + 3u * t` => `first` (batch_norm: each invocation the first lanes)
    for (var i = first + 3u * t; i < end; i += 3u * WORKGROUP) {
        own_means = plus(own_means, part[i] + part[i + 1u]);
    }
    let centre = sum_of_all(total(own_means), t, id) / f32(arguments.lanes);
    // Lanes take runs of so many elements in turn.
    let runs = arguments.elements / arguments.run;
    let least = f32(runs / arguments.lanes * arguments.run);
    let longer = first + 3u * (runs % arguments.lanes);
    var own_offsets = no_terms(id);
    var own_squares = no_terms(id);
    for (var i = first + 3u * t; i < end; i += 3u * WORKGROUP) {
        let count = select(least, least + f32(arguments.run), i < longer);
        // mutate `part[i] - centre` => `part[i]` (batch_norm: means of lanes that are not centred)
        let offset = (part[i] - centre) + part[i + 1u];
        own_offsets = plus(own_offsets, count * offset);
        own_squares = plus(own_squares, part[i + 2u] + count * offset * offset);
    }
    let offsets = sum_of_all(total(own_offsets), t, id);
    let squares = sum_of_all(total(own_squares), t, id);
    if (t == 0u) {
        let elements = f32(arguments.elements);
        let offset = offsets / elements;
        mean[c] = select(centre, centre + offset, is_finite(centre));
        // mutate ` * offset) / elements` => ` * offset) / (elements - 1.0)` (batch_norm: unbiased for biased variance)
        variance[c] = rectified(squares - offsets * offset) / elements;
    }
}
