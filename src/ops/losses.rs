//! Losses beside cross-entropy: means over rows of a function of a row's logits and its target.

mod card;

pub(crate) use card::CARD;

use super::loss_rows::{
    IGNORED_TARGET, Mean, Rows, expect_rows, gradient_of_logits, log_sum_exp, mean_of_rows, or_one,
};
use super::{expect_finite, expect_inputs};
use crate::graph::{Backward, Cost, GraphError, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static ROW_LOSS: Shader = Shader::new(
    "loss/row_loss",
    &[
        read("logits"),
        read("targets").u32(),
        write("losses"),
        write("numbers").when("softmax"),
        read("weights").when("weighted"),
        write("row_weights").when("weighted"),
    ],
);
static ROW_LOSS_BACKWARD: Shader = Shader::new(
    "loss/row_loss_backward",
    &[
        read("targets").u32(),
        read("divisor"),
        read("upstream"),
        write("dlogits"),
        read("logits").unless("nll"),
        read("numbers").when("softmax"),
        read("weights").when("weighted"),
    ],
);

/// A loss of logits `[N, C]`, targets `[N]` of u32 and, if classes have weights, these, `[C]`; outputs the loss `[1]`,
/// the number of rows that count `[1]`, with weights the sum of those of the rows' targets `[1]`, and, where the loss
/// goes through softmax, three numbers per row for the backward pass, `[N, 3]`.
///
/// With weights the loss of a row counts the weight of its target times, and the mean is over these weights.
///
/// A row whose target is [`IGNORED_TARGET`] pads a short batch (as does any other target that
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
    /// -z of the target: the logits are log-probabilities. Rows with the target `ignore_index` do not count.
    Nll { ignore_index: u32 },
}

/// The power in the focal loss takes no number below this, so that no exponent makes it infinite.
const SMALLEST_BASE: f32 = 1e-30;

impl Loss {
    /// -z of the target, in every row that has one.
    pub const NLL: Loss = Loss::Nll { ignore_index: IGNORED_TARGET };

    /// The loss's name in graphs, cases and configuration.
    pub fn function(&self) -> &'static str {
        match self {
            Loss::Focal { .. } => "focal",
            Loss::Mse => "mse",
            Loss::MseSoftmax => "mse_softmax",
            Loss::Nll { .. } => "nll",
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
            Loss::Nll { .. } => -f64::from(logits[target]),
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
            Loss::Nll { .. } => (0..logits.len()).map(|class| -hot(class)).collect(),
        }
    }

    fn ignore_index(&self) -> u32 {
        match *self {
            Loss::Nll { ignore_index } => ignore_index,
            _ => IGNORED_TARGET,
        }
    }

    fn kernel(&self, shader: &'static Shader, rows: &Rows) -> Kernel {
        let kernel = Kernel::new(shader).condition(self.function(), true).condition("softmax", self.has_softmax());
        let kernel = rows.kernel(kernel, self.ignore_index());
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
    type Geometry = Rows;

    fn name(&self) -> &'static str {
        self.function()
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let rows = Rows::of(inputs)?;
        if let Loss::Focal { alpha, gamma } = *self {
            expect_finite("alpha", alpha)?;
            expect_finite("gamma", gamma)?;
        }
        let mut outputs = vec![TensorSpec::f32([1]); 2 + usize::from(rows.is_weighted)];
        if self.has_softmax() {
            outputs.push(TensorSpec::f32([rows.rows, 3]));
        }
        Ok((outputs, rows))
    }

    fn gradient(&self, rows: &Rows, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(upstream) = backward.upstream() else { return Ok(vec![None; backward.inputs()]) };
        let divisor = 1 + usize::from(rows.is_weighted);
        let mut inputs = vec![backward.input(0), backward.input(1), backward.output(divisor), upstream];
        if self.has_softmax() {
            inputs.push(backward.output(divisor + 1));
        }
        if rows.is_weighted {
            inputs.push(backward.input(2));
        }
        let dlogits = backward.apply_one(LossBackward(*self), &inputs)?;
        Ok(gradient_of_logits(backward, dlogits))
    }

    fn reference(&self, rows: &Rows, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let weights = rows.weights(inputs, 2);
        let mut mean = Mean::default();
        for (logits, &target) in inputs[0].f32().chunks_exact(rows.classes).zip(inputs[1].u32()) {
            let Some(target) = rows.target(target, self.ignore_index()) else { continue };
            let weight = weights.map_or(1.0, |weights| f64::from(weights[target]));
            mean.add(weight * self.value(logits, target), weight);
        }
        mean.write(outputs, rows.is_weighted.then_some(2));
    }

    fn launch(&self, rows: &Rows, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.expect_loop(rows.rows.max(3 * rows.classes))?;
        let losses = launch.scratch(2 * rows.rows);
        let mut operands = vec![("logits", Operand::input(0)), ("targets", Operand::input(1)), ("losses", losses)];
        let mut weights = None;
        if rows.is_weighted {
            let row_weights = launch.scratch(rows.rows);
            operands.extend([("weights", Operand::input(2)), ("row_weights", row_weights)]);
            weights = Some((row_weights, Operand::output(2)));
        }
        if self.has_softmax() {
            operands.push(("numbers", Operand::output(2 + usize::from(rows.is_weighted))));
        }
        launch.linear(self.kernel(&ROW_LOSS, rows), rows.rows, operands);
        mean_of_rows(launch, rows.rows, losses, weights);
        Ok(())
    }

    fn cost(&self, _: &Rows, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 5 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

/// dlogits = upstream / divisor * the gradient of each row's loss, times the weight of its target where there are
/// weights; inputs logits, target, the forward pass's number of rows or sum of weights, the upstream gradient `[1]`, the
/// forward pass's row numbers where the loss goes through softmax, and the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossBackward(pub Loss);

impl Op for LossBackward {
    type Geometry = Rows;

    fn name(&self) -> &'static str {
        "loss_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let without = if self.0.has_softmax() { 5 } else { 4 };
        let is_weighted = inputs.len() == without + 1;
        expect_inputs(inputs, without + usize::from(is_weighted))?;
        let [rows, classes] = expect_rows(inputs)?;
        if inputs[2..4].iter().any(|scalar| scalar.elements() != 1) {
            return Err("the number of rows and the upstream gradient are scalars".to_owned());
        }
        Ok((vec![inputs[0].clone()], Rows { rows, classes, is_weighted }))
    }

    fn reference(&self, rows: &Rows, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let scale = f64::from(inputs[3].f32()[0]) / or_one(f64::from(inputs[2].f32()[0]));
        let weights = rows.weights(inputs, inputs.len() - 1);
        let all = inputs[0].f32().chunks_exact(rows.classes).zip(inputs[1].u32());
        for (dlogits, (logits, &target)) in outputs[0].f32_mut().chunks_exact_mut(rows.classes).zip(all) {
            let Some(target) = rows.target(target, self.0.ignore_index()) else { continue };
            let scale = scale * weights.map_or(1.0, |weights| f64::from(weights[target]));
            for (dz, gradient) in dlogits.iter_mut().zip(self.0.gradient_of_row(logits, target)) {
                *dz = (scale * gradient) as f32;
            }
        }
    }

    fn launch(&self, rows: &Rows, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = self.0.kernel(&ROW_LOSS_BACKWARD, rows);
        let mut operands = vec![
            ("targets", Operand::input(1)),
            ("divisor", Operand::input(2)),
            ("upstream", Operand::input(3)),
            ("dlogits", Operand::output(0)),
        ];
        // The gradient of a negative log-likelihood does not depend on the logits.
        if !matches!(self.0, Loss::Nll { .. }) {
            operands.push(("logits", Operand::input(0)));
        }
        if self.0.has_softmax() {
            operands.push(("numbers", Operand::input(4)));
        }
        if rows.is_weighted {
            operands.push(("weights", Operand::input(launch.inputs() - 1)));
        }
        launch.linear(kernel, launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &Rows, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 5 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
