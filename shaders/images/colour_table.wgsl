// table[n, c] = what image n's change needs to know of all its pixels
//
// Of CONTRAST table[n, 0, 0] is the mean of the image's grey; of AUTOCONTRAST table[n, c, 0..2] are the least pixel of channel c
// and the factor that makes its greatest 255, or 0 and 1 where they are the same; of EQUALIZE table[n, c, l] is what becomes of
// level l: pixels below it, by steps of a 255th of those that are not of the highest level. Of all others it is not written.
// x [N, CHANNELS, PLANE], draws [N, 2]: the change and its amount; table [N, CHANNELS, 256]. One workgroup per image, whose
// invocation t has the pixels t, t + WORKGROUP, ...

import package::constants::{WORKGROUP, CHANNELS, PLANE, CONTRAST, AUTOCONTRAST, EQUALIZE};
import package::arguments::arguments;
import package::images::tone::{grey_of, level_of};
import package::lib::sum::{no_terms, plus, total};
import package::lib::together::sum_of_all;
import package::bindings::{x, draws, table};

var<workgroup> counts: array<atomic<u32>, 256>;
var<workgroup> ends: array<vec2<f32>, WORKGROUP>;

fn grey(image: u32, p: u32) -> f32 {
    @if(coloured) { return grey_of(vec3(x[image + p], x[image + PLANE + p], x[image + 2u * PLANE + p])); }
    @else { return x[image + p]; }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let n = id.y * (arguments.grid_width / WORKGROUP) + id.x;
    if (n >= arguments.count / WORKGROUP) {
        return;
    }
    // All go through all loops, of no steps where the image has another change, so that they meet at the barriers.
    let change = u32(draws[2u * n]);
    let of_mean = select(0u, PLANE, change == CONTRAST);
    let of_ends = select(0u, PLANE, change == AUTOCONTRAST);
    let of_counts = select(0u, PLANE, change == EQUALIZE);
    let levels = select(0u, 256u, change == EQUALIZE);
    let image = n * CHANNELS * PLANE;
    var own = no_terms(id);
    // mutate `p = t; p < of_mean` => `p = t + WORKGROUP; p < of_mean` (colour_images: first pixels left out of the mean)
    for (var p = t; p < of_mean; p += WORKGROUP) {
        own = plus(own, grey(image, p));
    }
    let sum = sum_of_all(total(own), t, id);
    if (change == CONTRAST && t == 0u) {
        table[n * CHANNELS * 256u] = sum / f32(PLANE);
    }
    for (var c = 0u; c < CHANNELS; c++) {
        let plane = image + c * PLANE;
        let first = (n * CHANNELS + c) * 256u;
        var least = x[plane];
        var most = x[plane];
        for (var p = t; p < of_ends; p += WORKGROUP) {
            least = min(least, x[plane + p]);
            most = max(most, x[plane + p]);
        }
        ends[t] = vec2(least, most);
        for (var l = t; l < 256u; l += WORKGROUP) {
            atomicStore(&counts[l], 0u);
        }
        workgroupBarrier();
        for (var p = t; p < of_counts; p += WORKGROUP) {
            atomicAdd(&counts[level_of(x[plane + p])], 1u);
        }
        if (change == AUTOCONTRAST && t == 0u) {
            // mutate `other < WORKGROUP` => `other < WORKGROUP - 1u` (colour_images: ends of the last invocation left out)
            for (var other = 1u; other < WORKGROUP; other++) {
                least = min(least, ends[other].x);
                most = max(most, ends[other].y);
            }
            let is_flat = least == most;
            table[first] = select(least, 0.0, is_flat);
            table[first + 1u] = select(255.0 / (most - least), 1.0, is_flat);
        }
        workgroupBarrier();
        var highest = 0u;
        for (var v = 0u; v < levels; v++) {
            let count = atomicLoad(&counts[v]);
            // mutate `count > 0u` => `v == 255u` (colour_images: highest level below 255 not left out)
            highest = select(highest, count, count > 0u);
        }
        let step = (of_counts - highest) / 255u;
        for (var l = t; l < levels; l += WORKGROUP) {
            var below = 0u;
            for (var v = 0u; v < l; v++) {
                below += atomicLoad(&counts[v]);
            }
            // mutate `below + step / 2u` => `below` (colour_images: no half step)
            let moved = select(min((below + step / 2u) / max(step, 1u), 255u), 0u, l == 0u);
            table[first + l] = f32(select(moved, l, step == 0u));
        }
        // Nobody counts the next channel before all have read this one.
        workgroupBarrier();
    }
}
