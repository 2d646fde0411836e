// Every activation y = f(x), and its gradient from x or, where that is as exact, from y. The
// kernel's condition names the one that is meant.

import package::constants::SLOPE;
import package::lib::nan::{above_zero, at_least, capped, not_above_zero, rectified, within};

const INV_SQRT_2: f32 = 0.70710678;
const INV_SQRT_2_PI: f32 = 0.39894228;

fn sigmoid(x: f32) -> f32 {
    // exp of a number that is never positive: no overflow on either side.
    let e = exp(-abs(x));
    // mutate `select(e, 1.0, x >= 0.0)` => `e` (sigmoid: sigmoid of positive numbers)
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

fn hyperbolic_tangent(x: f32) -> f32 {
    // tanh may be built from exp(2x) and overflow; near 0 the quotient below would cancel.
    let a = abs(x);
    let e = exp(-2.0 * a);
    let square = x * x;
    let series = a * (1.0 - square * (1.0 / 3.0 - square * (2.0 / 15.0 - square * (17.0 / 315.0))));
    // mutate `(1.0 - e) / (1.0 + e)` => `(1.0 - e) / (1.0 - e * e)` (tanh: tanh away from 0)
    return select(1.0, -1.0, x < 0.0) * select((1.0 - e) / (1.0 + e), series, a < 0.15);
}

// erfc(a) for a >= 0: the rational Chebyshev fit of Numerical Recipes (relative error 1.2e-7).
fn erfc_positive(a: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.5 * a);
    let p = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806
        + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
    return t * exp(-a * a + p);
}

// The standard normal distribution function.
fn normal_cdf(x: f32) -> f32 {
    // mutate `0.5 * erfc_positive` => `0.49 * erfc_positive` (gelu: gelu's distribution)
    let half_tail = 0.5 * erfc_positive(abs(x) * INV_SQRT_2);
    return select(1.0 - half_tail, half_tail, x < 0.0);
}

// exp(x) - 1 without cancellation near 0.
fn expm1(x: f32) -> f32 {
    let series = x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0)))));
    return select(exp(x) - 1.0, series, abs(x) < 0.1);
}

// NaN for NaN, as all of them.
fn activate(x: f32) -> f32 {
    // mutate `rectified(x)` => `max(x, 0.0)` (relu: NaN lost in relu)
    // mutate `rectified(x)` => `abs(x)` (relu: relu of negative numbers)
    @if(relu) { return rectified(x); }
    // mutate `capped(x, 6.0)` => `rectified(x)` (relu6: no upper bound)
    @if(relu6) { return capped(x, 6.0); }
    @if(leaky_relu) { return select(x, SLOPE * x, x <= 0.0); }
    // mutate `SLOPE * expm1(x)` => `SLOPE * exp(x)` (elu: elu without its -1)
    @if(elu) { return select(x, SLOPE * expm1(x), x <= 0.0); }
    @if(sigmoid) { return sigmoid(x); }
    @if(tanh) { return hyperbolic_tangent(x); }
    @if(silu) { return x * sigmoid(x); }
    @if(gelu) { return x * normal_cdf(x); }
    // mutate `capped(x / 6.0 + 0.5, 1.0); }` => `capped(x / 6.0 + 0.5, 2.0); }` (hardsigmoid: hardsigmoid's upper bound)
    @if(hardsigmoid) { return capped(x / 6.0 + 0.5, 1.0); }
    @if(hardswish) { return x * capped(x / 6.0 + 0.5, 1.0); }
}

// dx = dy/dx * upstream, where `seen` is the output y for relu, relu6, sigmoid and tanh, else the input x. What is
// cut off is 0 whatever comes from above, and NaN is on the side where PyTorch has it.
fn gradient(seen: f32, upstream: f32) -> f32 {
    // mutate `not_above_zero(seen)); }` => `seen < 0.0); }` (relu: relu's gradient at 0)
    @if(relu) { return select(upstream, 0.0, not_above_zero(seen)); }
    // mutate `|| at_least(seen, 6.0)` => `|| seen > 6.0` (relu6: relu6's gradient at 6)
    @if(relu6) { return select(upstream, 0.0, not_above_zero(seen) || at_least(seen, 6.0)); }
    // mutate `1.0, above_zero(seen)` => `1.0, seen >= 0.0` (leaky_relu: leaky relu's gradient at 0)
    @if(leaky_relu) { return upstream * select(SLOPE, 1.0, above_zero(seen)); }
    // mutate `SLOPE * exp(seen)` => `exp(seen)` (elu: elu's gradient without alpha)
    @if(elu) { return upstream * select(1.0, SLOPE * exp(seen), not_above_zero(seen)); }
    // mutate `seen * (1.0 - seen)` => `seen * (1.0 - seen * seen)` (sigmoid: sigmoid's gradient)
    @if(sigmoid) { return upstream * (seen * (1.0 - seen)); }
    // mutate `1.0 - seen * seen)` => `1.0 - seen)` (tanh: tanh's gradient)
    @if(tanh) { return upstream * (1.0 - seen * seen); }
    @if(silu) {
        let s = sigmoid(seen);
        // mutate `1.0 + seen * (1.0 - s)` => `1.0 + (1.0 - s)` (silu: silu's gradient)
        return upstream * (s * (1.0 + seen * (1.0 - s)));
    }
    // mutate `exp(-0.5 * seen * seen)` => `exp(-seen * seen)` (gelu: gelu's gradient)
    @if(gelu) { return upstream * (normal_cdf(seen) + seen * INV_SQRT_2_PI * exp(-0.5 * seen * seen)); }
    // mutate `upstream / 6.0, within(seen, 3.0)` => `upstream / 6.0, abs(seen) <= 3.0` (hardsigmoid: hardsigmoid's gradient at 3)
    @if(hardsigmoid) { return select(0.0, upstream / 6.0, within(seen, 3.0)); }
    @if(hardswish) {
        let below = at_least(-seen, 3.0);
        // mutate `seen / 3.0 + 0.5` => `seen / 6.0 + 0.5` (hardswish: hardswish's gradient)
        return select(upstream * select(1.0, seen / 3.0 + 0.5, within(seen, 3.0)), 0.0, below);
    }
}
