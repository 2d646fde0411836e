// As sum_parts.wgsl, by LANES invocations for each element of y: lane l has the parts l, l + LANES, ..., and the lanes are
// added in their order. Neighbouring invocations load neighbours in memory: parts of one element where those lie side
// by side, else elements of one part.

import package::constants::{WORKGROUP, LANES, PARTS_LIE_SIDE_BY_SIDE};
import package::arguments::arguments;
import package::lib::sum::{no_terms, plus, total};
import package::bindings::{x, y};

const ELEMENTS: u32 = WORKGROUP / LANES;
const LANE_STEP: u32 = select(ELEMENTS, 1u, PARTS_LIE_SIDE_BY_SIDE);
const ELEMENT_STEP: u32 = select(1u, LANES, PARTS_LIE_SIDE_BY_SIDE);

var<workgroup> terms: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let first = (id.y * (arguments.grid_width / WORKGROUP) + id.x) * ELEMENTS;
    if (first >= arguments.count / LANES) {
        return;
    }
    let element = t / ELEMENT_STEP % ELEMENTS;
    let lane = t / LANE_STEP % LANES;
    let i = first + element;
    let is_inside = i < arguments.count / LANES;
    var sum = no_terms(id);
    // mutate `p = lane` => `p = 0u` (mean: each lane the first parts)
    for (var p = lane; p < select(0u, arguments.parts, is_inside); p += LANES) {
        sum = plus(sum, x[i * arguments.stride + p * arguments.part_stride]);
    }
    terms[t] = total(sum);
    workgroupBarrier();
    if (is_inside && lane == 0u) {
        var sum_of_lanes = no_terms(id);
        for (var other = 0u; other < LANES; other++) {
            sum_of_lanes = plus(sum_of_lanes, terms[element * ELEMENT_STEP + other * LANE_STEP]);
        }
        y[i] = total(sum_of_lanes);
    }
}
