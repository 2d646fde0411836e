// The matrices of conv/cooperative_tile in plain WGSL, so that all of its kernels but the functions of
// conv/cooperative_units can be tried where there are no matrix units. Slow, and meant for nothing else.
//
// LANES threads stand for a subgroup, and each keeps one of the EDGE x EDGE sums. A matrix of factors is where
// it begins in workgroup memory, and is read when it is multiplied: the tile body does not write there before
// its next barrier.

import package::conv::cooperative_tile::{left, right, results, left_index, right_index};
import package::constants::EDGE;

const LANES: u32 = EDGE * EDGE;

alias Left = vec2<u32>;
alias Right = vec2<u32>;
alias Sums = f32;

var<private> lane: u32;

fn left_matrix(row: u32, step: u32) -> Left {
    return vec2(row, step);
}

fn right_matrix(step: u32, column: u32) -> Right {
    return vec2(step, column);
}

fn multiply_add(factors: Left, others: Right, sums: Sums) -> Sums {
    var sum = sums;
    for (var step = 0u; step < EDGE; step++) {
        let a = left[left_index(factors.x + lane / EDGE, factors.y + step)];
        // mutate `others.y + lane % EDGE` => `others.y` (linear: first column for all)
        let b = right[right_index(others.x + step, others.y + lane % EDGE)];
        // mutate `sum += f32(a) * f32(b)` => `sum = f32(f16(sum + f32(a) * f32(b)))` (linear: sums kept in f16)
        sum += f32(a) * f32(b);
    }
    return sum;
}

fn put(sums: Sums, subgroup: u32) {
    results[subgroup * LANES + lane] = sums;
}
