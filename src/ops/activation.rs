//! Activations: functions of one element.

mod card;
mod formulas;
mod onnx;

pub(crate) use card::{CARD, merged};

use super::{expect_finite, expect_inputs};
use crate::graph::{Backward, Cost, GraphError, OnnxNode, Op, Value};
use crate::kernel::{Epilogue, Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static FORWARD: Shader = Shader::new("activation/forward", &[read("x").wide(), write("y").wide()]);
static BACKWARD: Shader =
    Shader::new("activation/backward", &[read("seen").wide(), read("dy").wide(), write("dx").wide()]);

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
    /// As [`Activation::Elu`] with an alpha of 1.6733, and all of it times 1.0507, by which layers keep their mean and
    /// variance (Klambauer et al. 2017).
    Selu,
    /// x above 0, `alpha` * (exp(x / `alpha`) - 1) below (Barron 2017).
    Celu {
        /// What it goes to below 0, but for the sign; not 0. PyTorch's default is 1.
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
    /// x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), which is close to it (there, section 2).
    GeluTanh,
    /// x * tanh(ln(1 + exp(x))) (Misra 2019).
    Mish,
    /// ln(1 + exp(`beta` * x)) / `beta`, and x where `beta` * x is above `threshold` (Dugas et al. 2000).
    Softplus {
        /// How sharp the bend is; not 0. PyTorch's default is 1.
        beta: f32,
        /// PyTorch's default is 20.
        threshold: f32,
    },
    /// min(max(x, `min`), `max`).
    Hardtanh {
        /// The least output; PyTorch's default is -1.
        min: f32,
        /// The largest output, above `min`; PyTorch's default is 1.
        max: f32,
    },
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
            Activation::Selu => "selu",
            Activation::Celu { .. } => "celu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::Silu => "silu",
            Activation::Gelu => "gelu",
            Activation::GeluTanh => "gelu_tanh",
            Activation::Mish => "mish",
            Activation::Softplus { .. } => "softplus",
            Activation::Hardtanh { .. } => "hardtanh",
            Activation::HardSigmoid => "hardsigmoid",
            Activation::HardSwish => "hardswish",
        }
    }

    /// Whether the derivative is computed from the output, so that the input need not be kept.
    pub(crate) fn sees_output(&self) -> bool {
        matches!(
            self,
            Activation::Relu | Activation::Relu6 | Activation::Hardtanh { .. } | Activation::Sigmoid | Activation::Tanh
        )
    }

    /// What may be chosen of it, as `activation/functions.wgsl` calls it.
    fn constants(&self) -> Vec<(&'static str, f32)> {
        match *self {
            Activation::LeakyRelu { negative_slope } => vec![("SLOPE", negative_slope)],
            Activation::Elu { alpha } | Activation::Celu { alpha } => vec![("SLOPE", alpha)],
            Activation::Softplus { beta, threshold } => vec![("SHARPNESS", beta), ("LINEAR_ABOVE", threshold)],
            Activation::Hardtanh { min, max } => vec![("LEAST", min), ("MOST", max)],
            _ => vec![],
        }
    }

    fn check(&self) -> Result<(), String> {
        match *self {
            Activation::LeakyRelu { negative_slope } => expect_finite("slope", negative_slope),
            Activation::Elu { alpha } => expect_finite("alpha", alpha),
            Activation::Celu { alpha } => expect_divisor("alpha", alpha),
            Activation::Softplus { beta, threshold } => {
                expect_divisor("beta", beta)?;
                expect_finite("threshold", threshold)
            }
            Activation::Hardtanh { min, max } => {
                expect_finite("min", min)?;
                expect_finite("max", max)?;
                match min < max {
                    true => Ok(()),
                    false => Err(format!("its max is {max}, but must be above its min, {min}")),
                }
            }
            _ => Ok(()),
        }
    }

    /// A kernel that imports `activation/functions.wgsl`, with this one meant.
    pub(crate) fn on(&self, kernel: Kernel) -> Kernel {
        let constants = self.constants().into_iter();
        constants.fold(kernel, |kernel, (name, value)| kernel.constant(name, value)).condition(self.function(), true)
    }

    /// This one, applied to what other kernels store.
    pub(crate) fn epilogue(&self) -> Epilogue {
        let constants = self.constants().into_iter().map(|(name, value)| (name, value.into())).collect();
        Epilogue { constants, conditions: vec![self.function()] }
    }
}

impl Op for Activation {
    type Geometry = ();

    fn name(&self) -> &'static str {
        self.function()
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        self.check()?;
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

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let count = launch.output(0).elements();
        let kernel = self.on(Kernel::new(&FORWARD));
        launch.elementwise(kernel, count, [("x", Operand::input(0)), ("y", Operand::output(0))]);
        Ok(())
    }

    fn cost(&self, (): &(), shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        onnx::write(*self, node);
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

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let count = launch.output(0).elements();
        launch.elementwise(
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

fn expect_divisor(attribute: &str, value: f32) -> Result<(), String> {
    expect_finite(attribute, value)?;
    match value != 0.0 {
        true => Ok(()),
        false => Err(format!("its {attribute} is 0, but must be another number")),
    }
}
