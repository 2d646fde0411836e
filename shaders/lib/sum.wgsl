// Sums whose error does not grow with the number of terms, which are added in order (Kahan 1965).
//
// A compiler that takes floats for real numbers would find that nothing is ever lost. What passes through `hidden` it
// cannot follow: `zero` is 0 in every grid, since no grid has a third dimension, but only when it runs.

import package::lib::nan::is_finite;

struct Sum {
    value: f32,
    // What `value` is too large by.
    excess: f32,
    // The terms added plainly: infinite or NaN where the sum is.
    plain: f32,
    zero: u32,
}

fn no_terms(id: vec3<u32>) -> Sum {
    return Sum(0.0, 0.0, 0.0, id.z);
}

fn hidden(x: f32, zero: u32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ zero);
}

fn plus(sum: Sum, term: f32) -> Sum {
    let wanted = term - sum.excess;
    let value = hidden(sum.value + wanted, sum.zero);
    let added = hidden(value - sum.value, sum.zero);
    // mutate `added - wanted, sum.plain` => `0.0, sum.plain` (mean: what is lost is not kept)
    return Sum(value, added - wanted, sum.plain + term, sum.zero);
}

// The terms of both.
fn joined(sum: Sum, other: Sum) -> Sum {
    let both = plus(plus(sum, other.value), -other.excess);
    return Sum(both.value, both.excess, sum.plain + other.plain, sum.zero);
}

fn total(sum: Sum) -> f32 {
    // mutate `select(sum.plain, sum.value, is_finite(sum.plain))` => `sum.value` (adaptive_avg_pool2d,mean: infinite sums)
    return select(sum.plain, sum.value, is_finite(sum.plain));
}

// Four sums side by side.
struct Sums {
    value: vec4<f32>,
    excess: vec4<f32>,
    plain: vec4<f32>,
    zero: u32,
}

fn no_sums(id: vec3<u32>) -> Sums {
    return Sums(vec4(0.0), vec4(0.0), vec4(0.0), id.z);
}

fn hidden_all(x: vec4<f32>, zero: u32) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) ^ vec4(zero));
}

fn plus_all(sums: Sums, terms: vec4<f32>) -> Sums {
    let wanted = terms - sums.excess;
    let value = hidden_all(sums.value + wanted, sums.zero);
    let added = hidden_all(value - sums.value, sums.zero);
    // mutate `added - wanted, sums.plain` => `vec4(0.0), sums.plain` (conv2d: what is lost of four sums is not kept)
    return Sums(value, added - wanted, sums.plain + terms, sums.zero);
}

fn totals(sums: Sums) -> vec4<f32> {
    let finite = (bitcast<vec4<u32>>(sums.plain) & vec4(0x7f800000u)) != vec4(0x7f800000u);
    return select(sums.plain, sums.value, finite);
}
