// Bounds and comparisons that hold for NaN. They look at bits: WGSL's max, min and clamp may return either operand
// when one is NaN, and compilers that take every float for a number fold `x != x` and turn comparisons around.
//
// Of the bits, positive floats are in order up to INFINITY, and beyond it lies NaN; negative ones lie SIGN higher. A
// difference that wraps around makes two comparisons one.

const INFINITY: u32 = 0x7f800000u;
const SIGN: u32 = 0x80000000u;

fn is_nan(x: f32) -> bool {
    // mutate `bitcast<u32>(x) & ~SIGN) > INFINITY` => `bitcast<u32>(x)) > INFINITY` (max_pool2d: negative numbers taken for NaN)
    return (bitcast<u32>(x) & ~SIGN) > INFINITY;
}

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & INFINITY) != INFINITY;
}

// NaN where x is NaN, else y.
fn unless_nan(x: f32, y: f32) -> f32 {
    return bitcast<f32>(select(bitcast<u32>(y), bitcast<u32>(x), is_nan(x)));
}

// exp(x) and log(x), NaN for NaN: of that WGSL promises nothing, and SwiftShader's exponential of it is infinite.
fn exponential(x: f32) -> f32 {
    return unless_nan(x, exp(x));
}

fn logarithm(x: f32) -> f32 {
    return unless_nan(x, log(x));
}

// max(x, 0), NaN for NaN.
fn rectified(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    // mutate `select(bits, 0u, bits - SIGN <= INFINITY)` => `select(bits, 0u, bits >= SIGN)` (relu: negative NaN lost)
    return bitcast<f32>(select(bits, 0u, bits - SIGN <= INFINITY));
}

// clamp(x, 0, top), top > 0, NaN for NaN.
fn capped(x: f32, top: f32) -> f32 {
    let bits = bitcast<u32>(rectified(x));
    let limit = bitcast<u32>(top);
    // mutate `bits - limit <= INFINITY - limit` => `bits >= limit` (relu6: NaN cut off at the top)
    return bitcast<f32>(select(bits, limit, bits - limit <= INFINITY - limit));
}

// x > 0, false for NaN.
fn above_zero(x: f32) -> bool {
    return bitcast<u32>(x) - 1u < INFINITY;
}

// x <= 0, false for NaN.
fn not_above_zero(x: f32) -> bool {
    let bits = bitcast<u32>(x);
    return (bits == 0u) | (bits - SIGN <= INFINITY);
}

// x >= bound, bound > 0, false for NaN.
fn at_least(x: f32, bound: f32) -> bool {
    let limit = bitcast<u32>(bound);
    return bitcast<u32>(x) - limit <= INFINITY - limit;
}

// abs(x) < bound, false for NaN.
fn within(x: f32, bound: f32) -> bool {
    return (bitcast<u32>(x) & ~SIGN) < bitcast<u32>(bound);
}
