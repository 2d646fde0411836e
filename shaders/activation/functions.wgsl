// Every activation y = f(x), and its gradient from x or, where that is as exact, from y. The
// kernel's condition names the one that is meant.

import package::constants::{SLOPE, SHARPNESS, LINEAR_ABOVE, LEAST, MOST};
import package::lib::element::Element;
import package::lib::nan::{above_zero, at_least, capped, is_nan, not_above_zero, rectified, unless_nan, within};

const INV_SQRT_2: f32 = 0.70710678;
const INV_SQRT_2_PI: f32 = 0.39894228;
const SELU_ALPHA_SCALE: f32 = 1.7580993;
const SELU_SCALE: f32 = 1.050701;
// 2 sqrt(2 / pi), and 0.044715 times that.
const GELU_LINEAR: f32 = 1.5957691;
const GELU_CUBIC: f32 = 0.07135482;

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

// ln(1 + e) for e from 0 to 1, as exact near 0: 2 atanh(e / (2 + e)), whose argument is at most 1/3.
fn log1p(e: f32) -> f32 {
    let a = e / (2.0 + e);
    let s = a * a;
    return 2.0 * a * (1.0 + s * (1.0 / 3.0 + s * (1.0 / 5.0 + s * (1.0 / 7.0
        + s * (1.0 / 9.0 + s * (1.0 / 11.0 + s / 13.0))))));
}

// ln(1 + exp(x)) without overflow.
fn softplus(x: f32) -> f32 {
    return rectified(x) + log1p(exp(-abs(x)));
}

// tanh(ln(1 + exp(x))) = n / (n + 2), n = exp(x) (exp(x) + 2), and 1 less its square; above 0 both by exp(-x).
fn mish_gate(x: f32) -> vec2<f32> {
    let e = exp(-abs(x));
    let is_above = x >= 0.0;
    let n = select(e * (e + 2.0), 1.0 + 2.0 * e, is_above);
    let d = n + 2.0 * select(1.0, e * e, is_above);
    let root = 2.0 * (1.0 + e) * select(1.0, e, is_above) / d;
    return vec2(n / d, root * root);
}

// sigmoid of it is GELU's approximation of the normal distribution function: (1 + tanh(t / 2)) / 2 without cancellation.
fn gelu_exponent(x: f32) -> f32 {
    return x * (GELU_LINEAR + GELU_CUBIC * x * x);
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
    // mutate `SLOPE * expm1(x / SLOPE)` => `SLOPE * expm1(x)` (celu: celu as elu)
    @if(celu) { return select(x, SLOPE * expm1(x / SLOPE), x <= 0.0); }
    // mutate `SELU_SCALE * x,` => `x,` (selu: selu's scale above 0)
    @if(selu) { return select(SELU_SCALE * x, SELU_ALPHA_SCALE * expm1(x), x <= 0.0); }
    @if(sigmoid) { return sigmoid(x); }
    @if(tanh) { return hyperbolic_tangent(x); }
    @if(silu) { return x * sigmoid(x); }
    @if(gelu) { return x * normal_cdf(x); }
    // mutate `gelu_exponent(x)` => `GELU_LINEAR * x` (gelu_tanh: cubic term dropped)
    @if(gelu_tanh) { return x * sigmoid(gelu_exponent(x)); }
    // mutate `mish_gate(x).x` => `sigmoid(x)` (mish: mish as silu)
    @if(mish) { return x * mish_gate(x).x; }
    // mutate `x * SHARPNESS > LINEAR_ABOVE` => `false` (softplus: softplus's threshold)
    @if(softplus) { return select(softplus(x * SHARPNESS) / SHARPNESS, x, x * SHARPNESS > LINEAR_ABOVE); }
    // mutate `unless_nan(x, clamp(x, LEAST, MOST))` => `clamp(x, LEAST, MOST)` (hardtanh: NaN lost in hardtanh)
    @if(hardtanh) { return unless_nan(x, clamp(x, LEAST, MOST)); }
    // mutate `capped(x / 6.0 + 0.5, 1.0); }` => `capped(x / 6.0 + 0.5, 2.0); }` (hardsigmoid: hardsigmoid's upper bound)
    @if(hardsigmoid) { return capped(x / 6.0 + 0.5, 1.0); }
    @if(hardswish) { return x * capped(x / 6.0 + 0.5, 1.0); }
}

// dx = dy/dx * upstream, where `seen` is the output y for relu, relu6, hardtanh, sigmoid and tanh, else the input x. What is
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
    // mutate `exp(seen / SLOPE)` => `exp(seen)` (celu: celu's gradient without alpha)
    @if(celu) { return upstream * select(1.0, exp(seen / SLOPE), not_above_zero(seen)); }
    // mutate `SELU_ALPHA_SCALE * exp(seen)` => `exp(seen)` (selu: selu's gradient below 0)
    @if(selu) { return upstream * select(SELU_SCALE, SELU_ALPHA_SCALE * exp(seen), not_above_zero(seen)); }
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
    @if(gelu_tanh) {
        let t = gelu_exponent(seen);
        let slope = GELU_LINEAR + 3.0 * GELU_CUBIC * seen * seen;
        // mutate `sigmoid(-t) * slope` => `slope` (gelu_tanh: gradient of the approximation)
        return upstream * (sigmoid(t) + seen * sigmoid(t) * sigmoid(-t) * slope);
    }
    @if(mish) {
        let gate = mish_gate(seen);
        // mutate `sigmoid(seen) * gate.y` => `gate.y` (mish: mish's gradient)
        return upstream * (gate.x + seen * sigmoid(seen) * gate.y);
    }
    @if(softplus) {
        let t = seen * SHARPNESS;
        // mutate `select(sigmoid(t), 1.0, t > LINEAR_ABOVE)` => `sigmoid(t)` (softplus: gradient above the threshold)
        return upstream * unless_nan(seen, select(sigmoid(t), 1.0, t > LINEAR_ABOVE));
    }
    @if(hardtanh) {
        // mutate `seen >= MOST` => `seen > MOST` (hardtanh: hardtanh's gradient at its upper bound)
        return select(upstream, 0.0, (seen <= LEAST || seen >= MOST) && !is_nan(seen));
    }
    // mutate `upstream / 6.0, within(seen, 3.0)` => `upstream / 6.0, abs(seen) <= 3.0` (hardsigmoid: hardsigmoid's gradient at 3)
    @if(hardsigmoid) { return select(0.0, upstream / 6.0, within(seen, 3.0)); }
    @if(hardswish) {
        let below = at_least(-seen, 3.0);
        // mutate `seen / 3.0 + 0.5` => `seen / 6.0 + 0.5` (hardswish: hardswish's gradient)
        return select(upstream * select(1.0, seen / 3.0 + 0.5, within(seen, 3.0)), 0.0, below);
    }
}

fn activate_each(x: Element) -> Element {
    // mutate `activate(x.y)` => `activate(x.x)` (relu: first of four twice)
    @if(wide) return vec4(activate(x.x), activate(x.y), activate(x.z), activate(x.w));
    @if(!wide) return activate(x);
}

fn gradient_each(seen: Element, upstream: Element) -> Element {
    @if(wide) return vec4(
        gradient(seen.x, upstream.x),
        gradient(seen.y, upstream.y),
        // mutate `gradient(seen.z, upstream.z)` => `gradient(seen.z, upstream.y)` (relu: second of four twice)
        gradient(seen.z, upstream.z),
        gradient(seen.w, upstream.w),
    );
    @if(!wide) return gradient(seen, upstream);
}
