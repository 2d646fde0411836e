//! Losses beside cross-entropy: means over rows of a function of a row's logits and its target.

mod card;

pub(crate) use card::CARD;

use super::cross_entropy::{MEAN_OF_ROWS, expect_rows, log_sum_exp};
use super::{expect_finite, expect_inputs};
use crate::graph::{Backward, Cost, GraphError, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static ROW_LOSS: Shader = Shader::new(
    "loss/row_loss",
    &[read("logits"), read("targets").u32(), write("losses"), write("numbers").when("softmax")],
);
static ROW_LOSS_BACKWARD: Shader = Shader::new(
    "loss/row_loss_backward",
    &[
        read("targets").u32(),
        read("rows"),
        read("upstream"),
        write("dlogits"),
        read("logits").unless("nll"),
        read("numbers").when("softmax"),
    ],
);

/// A loss of logits `[N, C]` and targets `[N]` of u32; outputs the loss `[1]`, the number of rows that
/// count `[1]` and, where the loss goes through softmax, three numbers per row for the backward pass,
/// `[N, 3]`.
///
/// A row whose target is [`super::IGNORED_TARGET`] pads a short batch (as does any other target that
/// is no class): it adds nothing to the sum, has no gradient, and does not count in the mean, which
/// divides by the number of rows that do, or by 1 when none does.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the formula of each says what its attributes are")]
pub enum Loss {
    /// -alpha (1 - p)^gamma log p, p the target's softmax probability (Lin et al. 2017).
    Focal { alpha: f32, gamma: f32 },
    /// Mean over classes of (z - y)^2, y the one-hot target.
    Mse,
    /// Mean over classes of (softmax(z) - y)^2.
    MseSoftmax,
    /// -z of the target: the logits are log-probabilities.
    Nll,
}

/// The power in the focal loss takes no number below this, so that no exponent makes it infinite.
const SMALLEST_BASE: f32 = 1e-30;

impl Loss {
    /// The loss's name in graphs, cases and configuration.
    pub fn function(&self) -> &'static str {
        match self {
            Loss::Focal { .. } => "focal",
            Loss::Mse => "mse",
            Loss::MseSoftmax => "mse_softmax",
            Loss::Nll => "nll",
        }
    }

    fn has_softmax(&self) -> bool {
        matches!(self, Loss::Focal { .. } | Loss::MseSoftmax)
    }

    /// The loss of one row.
    fn value(&self, logits: &[f32], target: usize) -> f64 {
        match *self {
            Loss::Focal { alpha, gamma } => {
                let log_p = log_softmax(logits)[target];
                -f64::from(alpha) * focal_base(log_p).powf(f64::from(gamma)) * log_p
            }
            Loss::Mse => squared_error(logits.iter().map(|&z| f64::from(z)), target) / logits.len() as f64,
            Loss::MseSoftmax => {
                let p = log_softmax(logits).into_iter().map(f64::exp);
                squared_error(p, target) / logits.len() as f64
            }
            Loss::Nll => -f64::from(logits[target]),
        }
    }

    /// Its gradient with respect to the row's logits.
    fn gradient_of_row(&self, logits: &[f32], target: usize) -> Vec<f64> {
        let hot = |class: usize| if class == target { 1.0 } else { 0.0 };
        let classes = logits.len() as f64;
        match *self {
            Loss::Focal { alpha, gamma } => {
                let (alpha, gamma) = (f64::from(alpha), f64::from(gamma));
                let log_p = log_softmax(logits);
                let (log_target, base) = (log_p[target], focal_base(log_p[target]));
                // Of a class without probability: its logarithm is infinite, and the product 0.
                let p = log_target.exp();
                let product = if p == 0.0 { 0.0 } else { p * log_target };
                let by_log_target = alpha * (gamma * base.powf(gamma - 1.0) * product - base.powf(gamma));
                log_p.iter().enumerate().map(|(class, log_p)| by_log_target * (hot(class) - log_p.exp())).collect()
            }
            Loss::Mse => {
                let error = |(class, &z): (usize, &f32)| 2.0 / classes * (f64::from(z) - hot(class));
                logits.iter().enumerate().map(error).collect()
            }
            Loss::MseSoftmax => {
                let p: Vec<f64> = log_softmax(logits).into_iter().map(f64::exp).collect();
                let inner: f64 = p.iter().enumerate().map(|(class, p)| p * (p - hot(class))).sum();
                let error = |(class, p): (usize, &f64)| 2.0 / classes * p * (p - hot(class) - inner);
                p.iter().enumerate().map(error).collect()
            }
            Loss::Nll => (0..logits.len()).map(|class| -hot(class)).collect(),
        }
    }

    fn kernel(&self, shader: &'static Shader, classes: usize) -> Kernel {
        let kernel = Kernel::new(shader)
            .constant("CLASSES", classes)
            .condition(self.function(), true)
            .condition("softmax", self.has_softmax());
        match *self {
            Loss::Focal { alpha, gamma } => {
                kernel.constants([("ALPHA", alpha), ("GAMMA", gamma), ("SMALLEST_BASE", SMALLEST_BASE)])
            }
            _ => kernel,
        }
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let (largest, log_sum) = log_sum_exp(logits);
    logits.iter().map(|&z| f64::from(z) - largest - log_sum).collect()
}

fn focal_base(log_p: f64) -> f64 {
    (-log_p.exp_m1()).max(f64::from(SMALLEST_BASE))
}

fn squared_error(x: impl Iterator<Item = f64>, target: usize) -> f64 {
    let hot = |class: usize| if class == target { 1.0 } else { 0.0 };
    x.enumerate().map(|(class, x)| (x - hot(class)) * (x - hot(class))).sum()
}

impl Op for Loss {
    type Geometry = [usize; 2];

    fn name(&self) -> &'static str {
        self.function()
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        let [rows, classes] = expect_rows(inputs)?;
        if let Loss::Focal { alpha, gamma } = *self {
            expect_finite("alpha", alpha)?;
            expect_finite("gamma", gamma)?;
        }
        let mut outputs = vec![TensorSpec::f32([1]), TensorSpec::f32([1])];
        if self.has_softmax() {
            outputs.push(TensorSpec::f32([rows, 3]));
        }
        Ok((outputs, [rows, classes]))
    }

    fn gradient(&self, _: &[usize; 2], backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(upstream) = backward.upstream() else { return Ok(vec![None, None]) };
        let mut inputs = vec![backward.input(0), backward.input(1), backward.output(1), upstream];
        if self.has_softmax() {
            inputs.push(backward.output(2));
        }
        Ok(vec![Some(backward.apply_one(LossBackward(*self), &inputs)?), None])
    }

    fn reference(&self, &[_, classes]: &[usize; 2], inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let rows = inputs[0].f32().chunks_exact(classes).zip(inputs[1].u32());
        let (mut sum, mut counted) = (0.0, 0.0f64);
        for (logits, &target) in rows.filter(|(_, target)| (**target as usize) < classes) {
            sum += self.value(logits, target as usize);
            counted += 1.0;
        }
        outputs[0].f32_mut()[0] = (sum / counted.max(1.0)) as f32;
        outputs[1].f32_mut()[0] = counted as f32;
    }

    fn launch(&self, &[rows, classes]: &[usize; 2], launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.expect_loop(rows.max(3 * classes))?;
        let losses = launch.scratch(2 * rows);
        let mut operands = vec![("logits", Operand::input(0)), ("targets", Operand::input(1)), ("losses", losses)];
        if self.has_softmax() {
            operands.push(("numbers", Operand::output(2)));
        }
        launch.linear(self.kernel(&ROW_LOSS, classes), rows, operands);
        let kernel = Kernel::new(&MEAN_OF_ROWS).constant("ROWS", rows);
        launch.linear(kernel, 1, [("losses", losses), ("loss", Operand::output(0)), ("rows", Operand::output(1))]);
        Ok(())
    }

    fn cost(&self, _: &[usize; 2], shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 5 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

/// dlogits = upstream / rows that count * the gradient of each row's loss; inputs logits, target, the
/// forward pass's number of rows, the upstream gradient `[1]`, and the forward pass's row numbers
/// where the loss goes through softmax.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossBackward(pub Loss);

impl Op for LossBackward {
    type Geometry = [usize; 2];

    fn name(&self) -> &'static str {
        "loss_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, if self.0.has_softmax() { 5 } else { 4 })?;
        let sizes = expect_rows(inputs)?;
        if inputs[2..4].iter().any(|scalar| scalar.elements() != 1) {
            return Err("the number of rows and the upstream gradient are scalars".to_owned());
        }
        Ok((vec![inputs[0].clone()], sizes))
    }

    fn reference(&self, &[_, classes]: &[usize; 2], inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let scale = f64::from(inputs[3].f32()[0]) / f64::from(inputs[2].f32()[0]).max(1.0);
        let rows = inputs[0].f32().chunks_exact(classes).zip(inputs[1].u32());
        for (dlogits, (logits, &target)) in outputs[0].f32_mut().chunks_exact_mut(classes).zip(rows) {
            if (target as usize) < classes {
                for (dz, gradient) in dlogits.iter_mut().zip(self.0.gradient_of_row(logits, target as usize)) {
                    *dz = (scale * gradient) as f32;
                }
            }
        }
    }

    fn launch(&self, &[_, classes]: &[usize; 2], launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = self.0.kernel(&ROW_LOSS_BACKWARD, classes);
        let mut operands = vec![
            ("targets", Operand::input(1)),
            ("rows", Operand::input(2)),
            ("upstream", Operand::input(3)),
            ("dlogits", Operand::output(0)),
        ];
        // The gradient of a negative log-likelihood does not depend on the logits.
        if self.0 != Loss::Nll {
            operands.push(("logits", Operand::input(0)));
        }
        if self.0.has_softmax() {
            operands.push(("numbers", Operand::input(4)));
        }
        launch.linear(kernel, launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &[usize; 2], shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 5 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
