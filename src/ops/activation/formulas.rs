//! What activations and their derivatives are, in f64.

use super::Activation;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// SELU's alpha and scale, as PyTorch has them.
pub(super) const SELU: [f64; 2] = [1.673_263_242_354_377_2, 1.050_700_987_355_480_5];
/// sqrt(2 / pi) and the share of x^3 in the approximation of GELU.
const GELU_TANH: [f64; 2] = [0.797_884_560_802_865_4, 0.044_715];

impl Activation {
    /// f(x).
    pub fn value(&self, x: f64) -> f64 {
        match *self {
            // A comparison, and clamp, leave NaN as it is; max does not.
            Activation::Relu if x <= 0.0 => 0.0,
            Activation::Relu => x,
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::Hardtanh { min, max } => x.clamp(f64::from(min), f64::from(max)),
            Activation::LeakyRelu { negative_slope } if x <= 0.0 => f64::from(negative_slope) * x,
            Activation::Elu { alpha } if x <= 0.0 => f64::from(alpha) * x.exp_m1(),
            Activation::Celu { alpha } if x <= 0.0 => f64::from(alpha) * (x / f64::from(alpha)).exp_m1(),
            Activation::LeakyRelu { .. } | Activation::Elu { .. } | Activation::Celu { .. } => x,
            Activation::Selu if x <= 0.0 => SELU[1] * SELU[0] * x.exp_m1(),
            Activation::Selu => SELU[1] * x,
            Activation::Sigmoid => sigmoid(x),
            Activation::Tanh => x.tanh(),
            Activation::Silu => x * sigmoid(x),
            Activation::Gelu => x * normal_cdf(x),
            Activation::GeluTanh => x * sigmoid(gelu_exponent(x)),
            Activation::Mish => x * softplus(x).tanh(),
            Activation::Softplus { beta, threshold } if x * f64::from(beta) > f64::from(threshold) => x,
            Activation::Softplus { beta, .. } => softplus(x * f64::from(beta)) / f64::from(beta),
            Activation::HardSigmoid => (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        }
    }

    /// f'(x) * `upstream`, where `seen` is f(x) for relu, relu6, hardtanh, sigmoid and tanh, and x for the others.
    ///
    /// What is cut off is 0 whatever comes from above. NaN is on the side where PyTorch has it.
    pub(crate) fn gradient_at(&self, seen: f64, upstream: f64) -> f64 {
        let where_it = |passes: bool| if passes { upstream } else { 0.0 };
        match *self {
            Activation::Relu => where_it(seen > 0.0 || seen.is_nan()),
            Activation::Relu6 => where_it(seen > 0.0 && seen < 6.0 || seen.is_nan()),
            Activation::Hardtanh { min, max } => {
                where_it(seen > f64::from(min) && seen < f64::from(max) || seen.is_nan())
            }
            Activation::LeakyRelu { .. } if seen > 0.0 => upstream,
            Activation::LeakyRelu { negative_slope } => upstream * f64::from(negative_slope),
            Activation::Elu { alpha } if seen <= 0.0 => upstream * f64::from(alpha) * seen.exp(),
            Activation::Celu { alpha } if seen <= 0.0 => upstream * (seen / f64::from(alpha)).exp(),
            Activation::Elu { .. } | Activation::Celu { .. } => upstream,
            Activation::Selu if seen <= 0.0 => upstream * SELU[1] * SELU[0] * seen.exp(),
            Activation::Selu => upstream * SELU[1],
            Activation::Sigmoid => upstream * (seen * (1.0 - seen)),
            Activation::Tanh => upstream * (1.0 - seen * seen),
            Activation::Silu => upstream * sigmoid(seen) * (1.0 + seen * (1.0 - sigmoid(seen))),
            Activation::Gelu => upstream * (normal_cdf(seen) + seen * (-0.5 * seen * seen).exp() / (2.0 * PI).sqrt()),
            Activation::GeluTanh => {
                let (exponent, [linear, cubic]) = (gelu_exponent(seen), gelu_polynomial());
                let slope = linear + 3.0 * cubic * seen * seen;
                upstream * (sigmoid(exponent) + seen * sigmoid(exponent) * sigmoid(-exponent) * slope)
            }
            Activation::Mish => {
                let tanh = softplus(seen).tanh();
                upstream * (tanh + seen * sigmoid(seen) * (1.0 - tanh * tanh))
            }
            Activation::Softplus { beta, threshold } if seen * f64::from(beta) > f64::from(threshold) => upstream,
            Activation::Softplus { beta, .. } => upstream * sigmoid(seen * f64::from(beta)),
            Activation::HardSigmoid => where_it(seen > -3.0 && seen < 3.0) / 6.0,
            Activation::HardSwish if seen <= -3.0 => 0.0,
            Activation::HardSwish if seen < 3.0 => upstream * (seen / 3.0 + 0.5),
            Activation::HardSwish => upstream,
        }
    }
}

/// ln(1 + exp(x)), for every x.
fn softplus(x: f64) -> f64 {
    // A comparison, since max would lose NaN.
    let linear = if x <= 0.0 { 0.0 } else { x };
    linear + (-x.abs()).exp().ln_1p()
}

/// The u of which (1 + tanh(u / 2)) / 2 = sigmoid(u) is the approximation of Phi(x): no cancellation in its tail.
fn gelu_exponent(x: f64) -> f64 {
    let [linear, cubic] = gelu_polynomial();
    x * (linear + cubic * x * x)
}

/// The factors of x and x^3 in it.
pub(super) fn gelu_polynomial() -> [f64; 2] {
    [2.0 * GELU_TANH[0], 2.0 * GELU_TANH[0] * GELU_TANH[1]]
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Standard normal distribution function.
fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// Complementary error function, by its power series near 0 and Lentz's continued fraction beyond
/// (Abramowitz and Stegun 7.1.6 and 7.1.14).
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 2.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..100 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        return 1.0 - 2.0 / PI.sqrt() * (-x * x).exp() * sum;
    }
    let mut fraction = 0.0;
    for n in (1..100).rev() {
        fraction = f64::from(n) / 2.0 / (x + fraction);
    }
    (-x * x).exp() / PI.sqrt() / (x + fraction)
}
