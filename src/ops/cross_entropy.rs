//! Softmax cross-entropy with label smoothing (Szegedy et al. 2016).

pub(super) mod card;

pub(crate) use card::CARD;

use super::expect_inputs;
use crate::graph::{Backward, Cost, GraphError, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{ElementType, HostTensor, Shapes, TensorSpec};

static CROSS_ENTROPY_ROWS: Shader = Shader::new(
    "loss/cross_entropy_rows",
    &[read("logits"), read("targets").u32(), write("losses").vec2(), write("sums").vec2()],
);
pub(super) static MEAN_OF_ROWS: Shader =
    Shader::new("loss/mean_of_rows", &[read("losses").vec2(), write("loss"), write("rows")]);
static CROSS_ENTROPY_BACKWARD: Shader = Shader::new(
    "loss/cross_entropy_backward",
    &[read("logits"), read("targets").u32(), read("rows"), read("sums").vec2(), read("upstream"), write("dlogits")],
);
static CORRECT_ROWS: Shader =
    Shader::new("loss/correct_rows", &[read("logits"), read("targets").u32(), write("correct")]);
static RECORD_METRICS: Shader = Shader::new(
    "loss/record_metrics",
    &[read("loss"), read("correct"), read("rows"), read("numbers").u32(), write("history")],
);

/// A target that marks a row as padding: it counts in no loss, no gradient and no accuracy.
pub const IGNORED_TARGET: u32 = u32::MAX;

/// Mean over rows of -(1 - s) log p_target - s / C * sum of log p, p = softmax(logits). Inputs logits
/// `[N, C]` and target `[N]` of u32; outputs the loss `[1]`, the number of rows that count `[1]`, and
/// for the backward pass each row's largest logit and log-sum-exp less it, `[N, 2]`.
///
/// Rows whose target is [`IGNORED_TARGET`] do not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy {
    /// Share of the target that is spread over all classes, from 0 to 1.
    pub label_smoothing: f32,
}

/// Checks logits `[N, C]` and target `[N]`.
pub(super) fn expect_rows(inputs: &[&TensorSpec]) -> Result<[usize; 2], String> {
    match (&inputs[0].shape[..], inputs[1]) {
        (&[rows, classes], target)
            if target.shape[..] == [rows] && target.element == ElementType::U32 && classes > 0 =>
        {
            Ok([rows, classes])
        }
        _ => Err("it takes logits [N, C] and targets [N] of u32".to_owned()),
    }
}

/// Largest logit of a row, and the logarithm of the sum of exp(logit - largest).
pub(super) fn log_sum_exp(row: &[f32]) -> (f64, f64) {
    let largest = row.iter().fold(f64::NEG_INFINITY, |largest, &z| largest.max(f64::from(z)));
    (largest, row.iter().map(|&z| (f64::from(z) - largest).exp()).sum::<f64>().ln())
}

impl Op for CrossEntropy {
    type Geometry = [usize; 2];

    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        let [rows, classes] = expect_rows(inputs)?;
        match (0.0..=1.0).contains(&self.label_smoothing) {
            true => {
                let outputs = vec![TensorSpec::f32([1]), TensorSpec::f32([1]), TensorSpec::f32([rows, 2])];
                Ok((outputs, [rows, classes]))
            }
            false => Err(format!("its label smoothing is {}, but must lie in [0, 1]", self.label_smoothing)),
        }
    }

    fn gradient(&self, _: &[usize; 2], backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(upstream) = backward.upstream() else { return Ok(vec![None, None]) };
        let inputs = [backward.input(0), backward.input(1), backward.output(1), backward.output(2), upstream];
        Ok(vec![Some(backward.apply_one(CrossEntropyBackward(*self), &inputs)?), None])
    }

    fn reference(&self, &[_, classes]: &[usize; 2], inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let smoothing = f64::from(self.label_smoothing);
        let (mut loss, mut counted) = (0.0, 0.0f64);
        for (row, (logits, &target)) in inputs[0].f32().chunks_exact(classes).zip(inputs[1].u32()).enumerate() {
            let (largest, log_sum) = log_sum_exp(logits);
            outputs[2].f32_mut()[2 * row..2 * row + 2].copy_from_slice(&[largest as f32, log_sum as f32]);
            if let Some(&logit) = logits.get(target as usize) {
                // Less the largest before the logarithm is added, which a logit of 1e30 would swallow.
                let log_p = |z: f32| f64::from(z) - largest - log_sum;
                if smoothing < 1.0 {
                    loss -= (1.0 - smoothing) * log_p(logit);
                }
                if smoothing > 0.0 {
                    loss -= smoothing * logits.iter().map(|&z| log_p(z)).sum::<f64>() / classes as f64;
                }
                counted += 1.0;
            }
        }
        outputs[0].f32_mut()[0] = (loss / counted.max(1.0)) as f32;
        outputs[1].f32_mut()[0] = counted as f32;
    }

    fn launch(&self, &[rows, classes]: &[usize; 2], launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.expect_loop(rows.max(2 * classes))?;
        let losses = launch.scratch(2 * rows);
        let kernel =
            Kernel::new(&CROSS_ENTROPY_ROWS).constant("CLASSES", classes).constant("SMOOTHING", self.label_smoothing);
        let operands =
            Operand::inputs(&["logits", "targets"]).chain([("losses", losses), ("sums", Operand::output(2))]);
        launch.linear(kernel, rows, operands);
        let kernel = Kernel::new(&MEAN_OF_ROWS).constant("ROWS", rows);
        launch.linear(kernel, 1, [("losses", losses), ("loss", Operand::output(0)), ("rows", Operand::output(1))]);
        Ok(())
    }

    fn cost(&self, _: &[usize; 2], shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 5 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

/// dlogits = (softmax(logits) - smoothed one-hot target) * upstream / rows that count. Inputs logits,
/// target, and the forward pass's count and row sums, and the upstream gradient `[1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropyBackward(pub CrossEntropy);

impl Op for CrossEntropyBackward {
    type Geometry = [usize; 2];

    fn name(&self) -> &'static str {
        "cross_entropy_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 5)?;
        Ok((vec![inputs[0].clone()], expect_rows(inputs)?))
    }

    fn reference(&self, &[_, classes]: &[usize; 2], inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let smoothing = f64::from(self.0.label_smoothing);
        let scale = f64::from(inputs[4].f32()[0]) / f64::from(inputs[2].f32()[0]).max(1.0);
        let rows = inputs[0].f32().chunks_exact(classes).zip(inputs[1].u32());
        for (gradient, (logits, &target)) in outputs[0].f32_mut().chunks_exact_mut(classes).zip(rows) {
            if target as usize >= classes {
                continue;
            }
            let (largest, log_sum) = log_sum_exp(logits);
            for (class, (gradient, &z)) in gradient.iter_mut().zip(logits).enumerate() {
                let hot = if class == target as usize { 1.0 - smoothing } else { 0.0 };
                let p = (f64::from(z) - largest - log_sum).exp();
                *gradient = ((p - hot - smoothing / classes as f64) * scale) as f32;
            }
        }
    }

    fn launch(&self, &[_, classes]: &[usize; 2], launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&CROSS_ENTROPY_BACKWARD)
            .constant("CLASSES", classes)
            .constant("SMOOTHING", self.0.label_smoothing);
        let operands = Operand::inputs(&["logits", "targets", "rows", "sums", "upstream"])
            .chain([("dlogits", Operand::output(0))]);
        launch.linear(kernel, launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &[usize; 2], shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 5 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

/// Number of rows whose target is among the `k` largest logits (of equal logits the first is
/// larger, and NaN than any number): `[1]`. Inputs logits `[N, C]` and target `[N]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountCorrect {
    /// 1 or more.
    pub k: u32,
}

impl Op for CountCorrect {
    type Geometry = [usize; 2];

    fn name(&self) -> &'static str {
        "count_correct"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        Ok((vec![TensorSpec::f32([1])], expect_rows(inputs)?))
    }

    fn reference(&self, &[_, classes]: &[usize; 2], inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let rows = inputs[0].f32().chunks_exact(classes).zip(inputs[1].u32());
        let correct = rows.filter(|(logits, target)| {
            let target = **target as usize;
            let Some(&own) = logits.get(target) else { return false };
            let larger = |&(class, &z): &(usize, &f32)| z > own || (z == own && class < target) || z.is_nan();
            own.is_finite() && logits.iter().enumerate().filter(larger).count() < self.k as usize
        });
        outputs[0].f32_mut()[0] = correct.count() as f32;
    }

    fn launch(&self, &[rows, classes]: &[usize; 2], launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.expect_loop(rows.max(classes))?;
        let correct = launch.scratch(rows);
        let kernel = Kernel::new(&CORRECT_ROWS).constant("CLASSES", classes).constant("K", self.k);
        launch.linear(kernel, rows, Operand::inputs(&["logits", "targets"]).chain([("correct", correct)]));
        super::reduce::sum_parts(launch, correct, 1, 0, 1, rows, Operand::output(0));
        Ok(())
    }
}

/// Writes the scalars (loss, correct, rows) of a step into row `cursor` of a history `[steps, 3]`, so
/// that the host reads many steps at once. Inputs the three scalars, step numbers of u32 whose
/// element `cursor` is the row, and the history, which is updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMetrics {
    /// Element of the step numbers that has the row.
    pub cursor: usize,
}

impl Op for RecordMetrics {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "record_metrics"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 5)?;
        match inputs[4].shape[..] {
            [_, 3] => Ok((vec![], ())),
            _ => Err("its history has the shape [steps, 3]".to_owned()),
        }
    }

    fn updates(&self) -> &'static [usize] {
        &[4]
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let row = inputs[3].u32()[self.cursor] as usize;
        let values: [f32; 3] = std::array::from_fn(|i| inputs[i].f32()[0]);
        outputs[0].f32_mut()[3 * row..3 * row + 3].copy_from_slice(&values);
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&RECORD_METRICS).constant("CURSOR", self.cursor);
        launch.linear(kernel, 1, Operand::inputs(&["loss", "correct", "rows", "numbers", "history"]));
        Ok(())
    }
}
