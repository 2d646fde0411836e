// The matrices of conv/cooperative_tile in plain WGSL, so that all but four functions of its kernels can be
// tried where there are no matrix units. Slow, and meant for nothing else.
//
// LANES threads stand for a subgroup. A matrix of factors is where it begins in workgroup memory, and is read
// when it is multiplied: the tile body does not write there before its next barrier. Each lane keeps
// every LANES-th of the EDGE x EDGE sums.

import package::conv::cooperative_tile::{left, right, results, left_index, right_index};
import package::constants::EDGE;

const LANES: u32 = 32;
const LANE_SUMS: u32 = EDGE * EDGE / LANES;

alias Left = vec2<u32>;
alias Right = vec2<u32>;
alias Sums = array<f32, LANE_SUMS>;

var<private> lane: u32;

fn left_matrix(row: u32, step: u32) -> Left {
    return vec2(row, step);
}

fn right_matrix(step: u32, column: u32) -> Right {
    return vec2(step, column);
}

fn multiply_add(factors: Left, others: Right, sums: Sums) -> Sums {
    var total = sums;
    for (var i = 0u; i < LANE_SUMS; i++) {
        let row = (i * LANES + lane) / EDGE;
        let column = (i * LANES + lane) % EDGE;
        for (var step = 0u; step < EDGE; step++) {
            let a = left[left_index(factors.x + row, factors.y + step)];
            let b = right[right_index(others.x + step, others.y + column)];
            total[i] += f32(a) * f32(b);
        }
    }
    return total;
}

fn put(sums: Sums, subgroup: u32) {
    var own = sums;
    for (var i = 0u; i < LANE_SUMS; i++) {
        results[subgroup * EDGE * EDGE + i * LANES + lane] = own[i];
    }
}
