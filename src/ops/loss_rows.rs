//! What all losses of rows have in common: logits `[N, C]`, a target for each row, perhaps a weight for each class, and a
//! mean over the rows that count.

use super::expect_inputs;
use crate::graph::{Backward, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, read, write};
use crate::tensor::{ElementType, HostTensor, TensorSpec};

static MEAN_OF_ROWS: Shader = Shader::new(
    "loss/mean_of_rows",
    &[
        read("losses").vec2(),
        write("loss"),
        write("rows"),
        read("row_weights").when("weighted"),
        write("divisor").when("weighted"),
    ],
);

/// A target that marks a row as padding: it counts in no loss, no gradient and no accuracy.
pub const IGNORED_TARGET: u32 = u32::MAX;

/// Rows of logits with a target each, and whether each class has a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// N.
    pub rows: usize,
    /// C.
    pub classes: usize,
    /// Whether there is a weight for each class.
    pub is_weighted: bool,
}

impl Rows {
    /// Of the inputs logits, target and perhaps the weights `[C]`.
    pub(super) fn of(inputs: &[&TensorSpec]) -> Result<Rows, String> {
        let is_weighted = inputs.len() == 3;
        expect_inputs(inputs, if is_weighted { 3 } else { 2 })?;
        let [rows, classes] = expect_rows(inputs)?;
        if is_weighted {
            expect_weights(inputs[2], classes)?;
        }
        Ok(Rows { rows, classes, is_weighted })
    }

    /// The weights of the classes, at `place`.
    pub(super) fn weights<'a>(&self, inputs: &[&'a HostTensor], place: usize) -> Option<&'a [f32]> {
        self.is_weighted.then(|| inputs[place].f32())
    }

    /// The class of a row that counts.
    pub(super) fn target(&self, target: u32, ignore_index: u32) -> Option<usize> {
        (target != ignore_index && (target as usize) < self.classes).then_some(target as usize)
    }

    /// With the conditions of weights, and of a class that is passed over.
    pub(super) fn kernel(&self, kernel: Kernel, ignore_index: u32) -> Kernel {
        let kernel = kernel.constant("CLASSES", self.classes).condition("weighted", self.is_weighted);
        match (ignore_index as usize) < self.classes {
            true => kernel.condition("ignoring", true).constant("IGNORED", ignore_index),
            false => kernel,
        }
    }
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

/// Checks the weights of the classes.
pub(super) fn expect_weights(weights: &TensorSpec, classes: usize) -> Result<(), String> {
    match weights.shape[..] == [classes] && weights.element == ElementType::F32 {
        true => Ok(()),
        false => {
            Err(format!("its weights are {}, but must be one of f32 for each of {classes} classes", weights.shape))
        }
    }
}

/// Checks a share of the target that is spread over all classes.
pub(super) fn expect_smoothing(share: f32) -> Result<(), String> {
    match (0.0..=1.0).contains(&share) {
        true => Ok(()),
        false => Err(format!("its label smoothing is {share}, but must lie in [0, 1]")),
    }
}

/// Largest logit of a row, and the logarithm of the sum of exp(logit - largest).
pub(super) fn log_sum_exp(row: &[f32]) -> (f64, f64) {
    let largest = row.iter().fold(f64::NEG_INFINITY, |largest, &z| largest.max(f64::from(z)));
    (largest, row.iter().map(|&z| (f64::from(z) - largest).exp()).sum::<f64>().ln())
}

/// The gradients of a loss's inputs: only the logits have one.
pub(super) fn gradient_of_logits(backward: &Backward<'_>, dlogits: Value) -> Vec<Option<Value>> {
    let mut gradients = vec![None; backward.inputs()];
    gradients[0] = Some(dlogits);
    gradients
}

/// A divisor, or 1 where no row counts and it is 0.
pub(super) fn or_one(divisor: f64) -> f64 {
    if divisor == 0.0 { 1.0 } else { divisor }
}

/// A mean over rows on the host.
#[derive(Default)]
pub(super) struct Mean {
    sum: f64,
    rows: f64,
    weights: f64,
}

impl Mean {
    /// Adds a row that counts, whose loss is weighted already.
    pub(super) fn add(&mut self, loss: f64, weight: f64) {
        self.sum += loss;
        self.rows += 1.0;
        self.weights += weight;
    }

    /// The mean and the number of rows into outputs 0 and 1, and the sum of weights into its output, if there is one.
    pub(super) fn write(&self, outputs: &mut [HostTensor], weights: Option<usize>) {
        outputs[0].f32_mut()[0] = (self.sum / or_one(self.weights)) as f32;
        outputs[1].f32_mut()[0] = self.rows as f32;
        if let Some(place) = weights {
            outputs[place].f32_mut()[0] = self.weights as f32;
        }
    }
}

/// Outputs 0 and 1 of pairs (loss, 1 where it counts). Of the weights of rows, the sum goes where the second operand says.
pub(super) fn mean_of_rows(launch: &mut Launch<'_>, rows: usize, losses: Operand, weights: Option<(Operand, Operand)>) {
    let kernel = Kernel::new(&MEAN_OF_ROWS).constant("ROWS", rows).condition("weighted", weights.is_some());
    let mut operands = vec![("losses", losses), ("loss", Operand::output(0)), ("rows", Operand::output(1))];
    if let Some((row_weights, divisor)) = weights {
        operands.extend([("row_weights", row_weights), ("divisor", divisor)]);
    }
    launch.linear(kernel, 1, operands);
}
