//! Softmax cross-entropy whose target is a probability for each class.

mod card;

pub(crate) use card::{CARD, soft_cross_entropy};

use super::expect_inputs;
use super::loss_rows::{Mean, Rows, expect_smoothing, expect_weights, gradient_of_logits, log_sum_exp, mean_of_rows};
use crate::graph::{Backward, Cost, GraphError, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{ElementType, HostTensor, Shapes, TensorSpec};

static SOFT_CROSS_ENTROPY_ROWS: Shader = Shader::new(
    "loss/soft_cross_entropy_rows",
    &[
        read("logits"),
        read("targets"),
        read("weights").when("weighted"),
        write("losses").vec2(),
        write("sums").vec2(),
        write("shares"),
    ],
);
static SOFT_CROSS_ENTROPY_BACKWARD: Shader = Shader::new(
    "loss/soft_cross_entropy_backward",
    &[
        read("logits"),
        read("targets"),
        read("sums").vec2(),
        read("shares"),
        read("upstream"),
        read("weights").when("weighted"),
        write("dlogits"),
    ],
);

/// Mean over rows of -sum of w_c ((1 - s) t_c + s / C) log p_c, p = softmax(logits). Inputs logits `[N, C]`, the
/// probabilities t `[N, C]` and, if classes have weights w, these, `[C]`; outputs the loss `[1]`, the number of rows
/// `[1]`, and for the backward pass each row's largest logit and log-sum-exp less it, `[N, 2]`, and the sum of its
/// factors of log p, `[N]`.
///
/// All rows count, and the mean divides by their number, also where there are weights: as in PyTorch. There is no
/// gradient of the probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SoftCrossEntropy {
    /// s: share of the target that is spread over all classes, from 0 to 1.
    pub label_smoothing: f32,
}

impl SoftCrossEntropy {
    fn kernel(&self, shader: &'static Shader, rows: &Rows) -> Kernel {
        Kernel::new(shader)
            .constant("CLASSES", rows.classes)
            .constant("SMOOTHING", self.label_smoothing)
            .condition("weighted", rows.is_weighted)
    }

    /// The factors of -log p of a row.
    fn factors(&self, target: &[f32], weights: Option<&[f32]>) -> Vec<f64> {
        let smoothing = f64::from(self.label_smoothing);
        let weight = |class: usize| weights.map_or(1.0, |weights| f64::from(weights[class]));
        let spread = smoothing / target.len() as f64;
        let of = |(class, &t): (usize, &f32)| weight(class) * ((1.0 - smoothing) * f64::from(t) + spread);
        target.iter().enumerate().map(of).collect()
    }
}

/// Checks logits and probabilities `[N, C]`.
fn expect_probabilities(inputs: &[&TensorSpec]) -> Result<[usize; 2], String> {
    match inputs[0].shape[..] {
        [rows, classes] if inputs[0] == inputs[1] && inputs[0].element == ElementType::F32 && classes > 0 => {
            Ok([rows, classes])
        }
        _ => Err("it takes logits [N, C] and probabilities [N, C] of f32".to_owned()),
    }
}

impl Op for SoftCrossEntropy {
    type Geometry = Rows;

    fn name(&self) -> &'static str {
        "soft_cross_entropy"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let is_weighted = inputs.len() == 3;
        expect_inputs(inputs, if is_weighted { 3 } else { 2 })?;
        let [rows, classes] = expect_probabilities(inputs)?;
        if is_weighted {
            expect_weights(inputs[2], classes)?;
        }
        expect_smoothing(self.label_smoothing)?;
        let outputs =
            vec![TensorSpec::f32([1]), TensorSpec::f32([1]), TensorSpec::f32([rows, 2]), TensorSpec::f32([rows])];
        Ok((outputs, Rows { rows, classes, is_weighted }))
    }

    fn gradient(&self, rows: &Rows, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(upstream) = backward.upstream() else { return Ok(vec![None; backward.inputs()]) };
        let mut inputs = vec![backward.input(0), backward.input(1), backward.output(2), backward.output(3), upstream];
        if rows.is_weighted {
            inputs.push(backward.input(2));
        }
        let dlogits = backward.apply_one(SoftCrossEntropyBackward(*self), &inputs)?;
        Ok(gradient_of_logits(backward, dlogits))
    }

    fn reference(&self, rows: &Rows, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let weights = rows.weights(inputs, 2);
        let mut mean = Mean::default();
        let all = inputs[0].f32().chunks_exact(rows.classes).zip(inputs[1].f32().chunks_exact(rows.classes));
        for (row, (logits, target)) in all.enumerate() {
            let (largest, log_sum) = log_sum_exp(logits);
            outputs[2].f32_mut()[2 * row..2 * row + 2].copy_from_slice(&[largest as f32, log_sum as f32]);
            let factors = self.factors(target, weights);
            let term = |(factor, &z): (&f64, &f32)| factor * (log_sum - (f64::from(z) - largest));
            mean.add(factors.iter().zip(logits).map(term).sum(), 1.0);
            outputs[3].f32_mut()[row] = factors.iter().sum::<f64>() as f32;
        }
        mean.write(outputs, None);
    }

    fn launch(&self, rows: &Rows, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.expect_loop(rows.rows.max(3 * rows.classes))?;
        let losses = launch.scratch(2 * rows.rows);
        let operands = Operand::inputs(&["logits", "targets", "weights"][..launch.inputs()]).chain([
            ("losses", losses),
            ("sums", Operand::output(2)),
            ("shares", Operand::output(3)),
        ]);
        let operands: Vec<_> = operands.collect();
        launch.linear(self.kernel(&SOFT_CROSS_ENTROPY_ROWS, rows), rows.rows, operands);
        mean_of_rows(launch, rows.rows, losses, None);
        Ok(())
    }

    fn cost(&self, _: &Rows, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 8 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

/// dlogits = (softmax(logits) * the sum of the row's factors - its factors) * upstream / rows. Inputs logits,
/// probabilities, the forward pass's row sums and sums of factors, the upstream gradient `[1]`, and the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftCrossEntropyBackward(pub SoftCrossEntropy);

impl Op for SoftCrossEntropyBackward {
    type Geometry = Rows;

    fn name(&self) -> &'static str {
        "soft_cross_entropy_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let is_weighted = inputs.len() == 6;
        expect_inputs(inputs, if is_weighted { 6 } else { 5 })?;
        let [rows, classes] = expect_probabilities(inputs)?;
        Ok((vec![inputs[0].clone()], Rows { rows, classes, is_weighted }))
    }

    fn reference(&self, rows: &Rows, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let scale = f64::from(inputs[4].f32()[0]) / rows.rows as f64;
        let weights = rows.weights(inputs, 5);
        let all = inputs[0].f32().chunks_exact(rows.classes).zip(inputs[1].f32().chunks_exact(rows.classes));
        for (gradient, (logits, target)) in outputs[0].f32_mut().chunks_exact_mut(rows.classes).zip(all) {
            let factors = self.0.factors(target, weights);
            let together: f64 = factors.iter().sum();
            let (largest, log_sum) = log_sum_exp(logits);
            for ((gradient, &z), factor) in gradient.iter_mut().zip(logits).zip(factors) {
                let p = (f64::from(z) - largest - log_sum).exp();
                *gradient = ((p * together - factor) * scale) as f32;
            }
        }
    }

    fn launch(&self, rows: &Rows, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = self.0.kernel(&SOFT_CROSS_ENTROPY_BACKWARD, rows).constant("ROWS", rows.rows);
        let names = &["logits", "targets", "sums", "shares", "upstream", "weights"][..launch.inputs()];
        let operands = Operand::inputs(names).chain([("dlogits", Operand::output(0))]);
        launch.linear(kernel, launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &Rows, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 7 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
