//! Activations: functions of one element.

mod card;

pub(crate) use card::{CARD, merged};

use super::{expect_finite, expect_inputs};
use crate::graph::{Backward, Cost, GraphError, OnnxAttribute, OnnxNode, Op, Value};
use crate::kernel::{Epilogue, Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{HostTensor, Shapes, TensorSpec};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

static FORWARD: Shader = Shader::new("activation/forward", &[read("x"), write("y")]);
static BACKWARD: Shader = Shader::new("activation/backward", &[read("seen"), read("dy"), write("dx")]);

/// y = f(x) for each element.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// max(x, 0) (Nair and Hinton 2010).
    Relu,
    /// min(max(x, 0), 6) (Howard et al. 2017).
    Relu6,
    /// x above 0, `negative_slope` * x below (Maas et al. 2013).
    LeakyRelu {
        /// Slope below 0; PyTorch's default is 0.01.
        negative_slope: f32,
    },
    /// x above 0, `alpha` * (exp(x) - 1) below (Clevert et al. 2016).
    Elu {
        /// What it goes to below 0, but for the sign; PyTorch's default is 1.
        alpha: f32,
    },
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// x * sigmoid(x) (Elfwing et al. 2018).
    Silu,
    /// x * Phi(x), exact (Hendrycks and Gimpel 2016).
    Gelu,
    /// clamp(x / 6 + 1/2, 0, 1).
    HardSigmoid,
    /// x * clamp(x / 6 + 1/2, 0, 1) (Howard et al. 2019).
    HardSwish,
}

impl Activation {
    /// The activation's name in graphs, cases and configuration.
    pub fn function(&self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::Relu6 => "relu6",
            Activation::LeakyRelu { .. } => "leaky_relu",
            Activation::Elu { .. } => "elu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::Silu => "silu",
            Activation::Gelu => "gelu",
            Activation::HardSigmoid => "hardsigmoid",
            Activation::HardSwish => "hardswish",
        }
    }

    /// Whether the derivative is computed from the output, so that the input need not be kept.
    fn sees_output(&self) -> bool {
        matches!(self, Activation::Relu | Activation::Relu6 | Activation::Sigmoid | Activation::Tanh)
    }

    fn slope(&self) -> f32 {
        match *self {
            Activation::LeakyRelu { negative_slope } => negative_slope,
            Activation::Elu { alpha } => alpha,
            _ => 0.0,
        }
    }

    /// f(x).
    pub fn value(&self, x: f64) -> f64 {
        let slope = f64::from(self.slope());
        match self {
            // A comparison, and clamp, leave NaN as it is; max does not.
            Activation::Relu if x <= 0.0 => 0.0,
            Activation::Relu => x,
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::LeakyRelu { .. } => {
                if x <= 0.0 {
                    slope * x
                } else {
                    x
                }
            }
            Activation::Elu { .. } => {
                if x <= 0.0 {
                    slope * x.exp_m1()
                } else {
                    x
                }
            }
            Activation::Sigmoid => sigmoid(x),
            Activation::Tanh => x.tanh(),
            Activation::Silu => x * sigmoid(x),
            Activation::Gelu => x * normal_cdf(x),
            Activation::HardSigmoid => (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        }
    }

    /// f'(x) * `upstream`, where `seen` is f(x) for relu, relu6, sigmoid and tanh, and x for the others.
    ///
    /// What is cut off is 0 whatever comes from above. NaN is on the side where PyTorch has it.
    fn gradient_at(&self, seen: f64, upstream: f64) -> f64 {
        let slope = f64::from(self.slope());
        let where_it = |passes: bool| if passes { upstream } else { 0.0 };
        match self {
            Activation::Relu => where_it(seen > 0.0 || seen.is_nan()),
            Activation::Relu6 => where_it(seen > 0.0 && seen < 6.0 || seen.is_nan()),
            Activation::LeakyRelu { .. } if seen > 0.0 => upstream,
            Activation::LeakyRelu { .. } => upstream * slope,
            Activation::Elu { .. } if seen <= 0.0 => upstream * slope * seen.exp(),
            Activation::Elu { .. } => upstream,
            Activation::Sigmoid => upstream * (seen * (1.0 - seen)),
            Activation::Tanh => upstream * (1.0 - seen * seen),
            Activation::Silu => upstream * sigmoid(seen) * (1.0 + seen * (1.0 - sigmoid(seen))),
            Activation::Gelu => upstream * (normal_cdf(seen) + seen * (-0.5 * seen * seen).exp() / (2.0 * PI).sqrt()),
            Activation::HardSigmoid => where_it(seen > -3.0 && seen < 3.0) / 6.0,
            Activation::HardSwish if seen <= -3.0 => 0.0,
            Activation::HardSwish if seen < 3.0 => upstream * (seen / 3.0 + 0.5),
            Activation::HardSwish => upstream,
        }
    }

    /// A kernel that imports `activation/functions.wgsl`, with this one meant.
    pub(crate) fn on(&self, kernel: Kernel) -> Kernel {
        kernel.constant("SLOPE", self.slope()).condition(self.function(), true)
    }

    /// This one, applied to what other kernels store.
    pub(crate) fn epilogue(&self) -> Epilogue {
        Epilogue { constants: vec![("SLOPE", self.slope().into())], conditions: vec![self.function()] }
    }
}

impl Op for Activation {
    type Geometry = ();

    fn name(&self) -> &'static str {
        self.function()
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        expect_finite("slope", self.slope())?;
        Ok((vec![inputs[0].clone()], ()))
    }

    fn gradient(&self, (): &(), backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let seen = if self.sees_output() { backward.output(0) } else { backward.input(0) };
        Ok(vec![Some(backward.apply_one(ActivationBackward(*self), &[seen, dy])?)])
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        for (y, &x) in outputs[0].f32_mut().iter_mut().zip(inputs[0].f32()) {
            *y = self.value(f64::from(x)) as f32;
        }
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let count = launch.output(0).elements();
        let kernel = self.on(Kernel::new(&FORWARD));
        launch.linear(kernel, count, [("x", Operand::input(0)), ("y", Operand::output(0))]);
        Ok(())
    }

    fn cost(&self, (): &(), shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let inputs = node.inputs();
        let alpha = |alpha| vec![OnnxAttribute::float("alpha", alpha)];
        let (kind, attributes) = match *self {
            Activation::Relu => ("Relu", vec![]),
            Activation::LeakyRelu { negative_slope } => ("LeakyRelu", alpha(negative_slope)),
            Activation::Elu { alpha: slope } => ("Elu", alpha(slope)),
            Activation::Sigmoid => ("Sigmoid", vec![]),
            Activation::Tanh => ("Tanh", vec![]),
            Activation::HardSigmoid => ("HardSigmoid", alpha(1.0 / 6.0)),
            Activation::HardSwish => ("HardSwish", vec![]),
            Activation::Relu6 => {
                let bounds = [node.scalar(0.0), node.scalar(6.0)];
                node.give("Clip", [inputs, bounds.into()].concat(), vec![]);
                return Ok(());
            }
            Activation::Silu => {
                let gate = node.step("Sigmoid", inputs.clone(), vec![]);
                node.give("Mul", [inputs, vec![gate]].concat(), vec![]);
                return Ok(());
            }
            // x * (1/2 + erf(x / sqrt(2)) / 2): ONNX has a Gelu since operator set 20.
            Activation::Gelu => {
                let [half, root] = [0.5, std::f32::consts::FRAC_1_SQRT_2].map(|value| node.scalar(value));
                let scaled = node.step("Mul", vec![inputs[0].clone(), root], vec![]);
                let erf = node.step("Erf", vec![scaled], vec![]);
                let halved = node.step("Mul", vec![erf, half.clone()], vec![]);
                let share = node.step("Add", vec![halved, half], vec![]);
                node.give("Mul", [inputs, vec![share]].concat(), vec![]);
                return Ok(());
            }
        };
        node.give(kind, inputs, attributes);
        Ok(())
    }
}

/// dx = f'(x) * dy; inputs: what [`Activation`] says its derivative is computed from, and dy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivationBackward(pub Activation);

impl Op for ActivationBackward {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "activation_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        Ok((vec![inputs[1].clone()], ()))
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let pairs = inputs[0].f32().iter().zip(inputs[1].f32());
        for (dx, (&seen, &dy)) in outputs[0].f32_mut().iter_mut().zip(pairs) {
            *dx = self.0.gradient_at(f64::from(seen), f64::from(dy)) as f32;
        }
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let count = launch.output(0).elements();
        launch.linear(
            self.0.on(Kernel::new(&BACKWARD)),
            count,
            [("seen", Operand::input(0)), ("dy", Operand::input(1)), ("dx", Operand::output(0))],
        );
        Ok(())
    }

    fn cost(&self, (): &(), shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 2 * shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }
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
