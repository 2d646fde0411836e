// The matrices of conv/cooperative_tile on the device's matrix units: EDGE x EDGE, 8 or 16, f16 factors, f32
// sums, each held by a subgroup together. The T of coopLoadT stands for rows that lie one after another in memory.

import package::conv::cooperative_tile::{left, right, results, left_index, right_index};
import package::conv::cooperative_tile::{LEFT_PITCH, RIGHT_PITCH};
import package::constants::EDGE;
import package::operands::{LEFT_RUNS_ALONG_STEPS, RIGHT_RUNS_ALONG_STEPS};

@if(edge_8) alias Left = coop_mat8x8<f16, A>;
@if(edge_8) alias Right = coop_mat8x8<f16, B>;
@if(edge_8) alias Sums = coop_mat8x8<f32, C>;
@if(!edge_8) alias Left = coop_mat16x16<f16, A>;
@if(!edge_8) alias Right = coop_mat16x16<f16, B>;
@if(!edge_8) alias Sums = coop_mat16x16<f32, C>;

// EDGE rows from `row` on and EDGE steps from `step` on, of the left side.
fn left_matrix(row: u32, step: u32) -> Left {
    let first = left_index(row, step);
    if (LEFT_RUNS_ALONG_STEPS) {
        // mutate `coopLoadT<Left>` => `coopLoad<Left>` (linear: left matrices transposed)
        return coopLoadT<Left>(&left[first], LEFT_PITCH);
    }
    return coopLoad<Left>(&left[first], LEFT_PITCH);
}

// EDGE steps from `step` on and EDGE columns from `column` on, of the right side.
fn right_matrix(step: u32, column: u32) -> Right {
    let first = right_index(step, column);
    if (RIGHT_RUNS_ALONG_STEPS) {
        return coopLoad<Right>(&right[first], RIGHT_PITCH);
    }
    return coopLoadT<Right>(&right[first], RIGHT_PITCH);
}

fn multiply_add(factors: Left, others: Right, sums: Sums) -> Sums {
    return coopMultiplyAdd(factors, others, sums);
}

// Writes a subgroup's sums, row by row, to its place among the results.
fn put(sums: Sums, subgroup: u32) {
    // mutate `coopStoreT` => `coopStore` (linear: sums transposed)
    coopStoreT(sums, &results[subgroup * EDGE * EDGE], EDGE);
}
