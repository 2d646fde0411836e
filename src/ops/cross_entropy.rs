//! Softmax cross-entropy with label smoothing (Szegedy et al. 2016) and class weights.

pub(super) mod card;

pub(crate) use card::CARD;

use super::expect_inputs;
use super::loss_rows::{
    IGNORED_TARGET, Mean, Rows, expect_rows, expect_smoothing, gradient_of_logits, log_sum_exp, mean_of_rows, or_one,
};
use crate::graph::{Backward, Cost, GraphError, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static CROSS_ENTROPY_ROWS: Shader = Shader::new(
    "loss/cross_entropy_rows",
    &[
        read("logits"),
        read("targets").u32(),
        write("losses").vec2(),
        write("sums").vec2(),
        read("weights").when("weighted"),
        write("row_weights").when("weighted"),
        write("shares").when("weighted"),
    ],
);
static CROSS_ENTROPY_BACKWARD: Shader = Shader::new(
    "loss/cross_entropy_backward",
    &[
        read("logits"),
        read("targets").u32(),
        read("divisor"),
        read("sums").vec2(),
        read("upstream"),
        write("dlogits"),
        read("weights").when("weighted"),
        read("shares").when("weighted"),
    ],
);
static CORRECT_ROWS: Shader =
    Shader::new("loss/correct_rows", &[read("logits"), read("targets").u32(), write("correct")]);
static RECORD_METRICS: Shader = Shader::new(
    "loss/record_metrics",
    &[read("loss"), read("correct"), read("rows"), read("numbers").u32(), write("history")],
);

/// Mean over rows of -(1 - s) log p_target - s / C * sum of log p, p = softmax(logits). Inputs logits `[N, C]`, target
/// `[N]` of u32 and, if classes have weights, these, `[C]`; outputs the loss `[1]`, the number of rows that count `[1]`,
/// and for the backward pass each row's largest logit and log-sum-exp less it, `[N, 2]`.
///
/// With weights each log p counts the weight of its class times, and the mean is over the weights of the rows' targets,
/// as in PyTorch. Two more outputs are for the backward pass: how often the logarithms of each row count together, `[N]`,
/// and the sum of the weights of the targets, `[1]`.
///
/// Rows whose target is `ignore_index` or no class, such as [`IGNORED_TARGET`], do not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy {
    /// Share of the target that is spread over all classes, from 0 to 1.
    pub label_smoothing: f32,
    /// Rows with this target do not count.
    pub ignore_index: u32,
}

impl Default for CrossEntropy {
    fn default() -> Self {
        CrossEntropy { label_smoothing: 0.0, ignore_index: IGNORED_TARGET }
    }
}

impl CrossEntropy {
    /// With this label smoothing.
    pub fn smoothed(label_smoothing: f32) -> Self {
        CrossEntropy { label_smoothing, ..CrossEntropy::default() }
    }

    fn kernel(&self, shader: &'static Shader, rows: &Rows) -> Kernel {
        rows.kernel(Kernel::new(shader), self.ignore_index).constant("SMOOTHING", self.label_smoothing)
    }

    /// How often -log p of each class counts in a row of that target.
    fn shares(&self, rows: &Rows, target: usize, weights: Option<&[f32]>) -> Vec<f64> {
        let smoothing = f64::from(self.label_smoothing);
        let weight = |class: usize| weights.map_or(1.0, |weights| f64::from(weights[class]));
        let hot = |class| if class == target { 1.0 - smoothing } else { 0.0 };
        (0..rows.classes).map(|class| weight(class) * (hot(class) + smoothing / rows.classes as f64)).collect()
    }
}

impl Op for CrossEntropy {
    type Geometry = Rows;

    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let rows = Rows::of(inputs)?;
        expect_smoothing(self.label_smoothing)?;
        let mut outputs = vec![TensorSpec::f32([1]), TensorSpec::f32([1]), TensorSpec::f32([rows.rows, 2])];
        if rows.is_weighted {
            outputs.extend([TensorSpec::f32([rows.rows]), TensorSpec::f32([1])]);
        }
        Ok((outputs, rows))
    }

    fn gradient(&self, rows: &Rows, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(upstream) = backward.upstream() else { return Ok(vec![None; backward.inputs()]) };
        let mut inputs = vec![backward.input(0), backward.input(1), backward.output(1), backward.output(2), upstream];
        if rows.is_weighted {
            inputs[2] = backward.output(4);
            inputs.extend([backward.input(2), backward.output(3)]);
        }
        let dlogits = backward.apply_one(CrossEntropyBackward(*self), &inputs)?;
        Ok(gradient_of_logits(backward, dlogits))
    }

    fn reference(&self, rows: &Rows, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let weights = rows.weights(inputs, 2);
        let mut mean = Mean::default();
        for (row, (logits, &target)) in inputs[0].f32().chunks_exact(rows.classes).zip(inputs[1].u32()).enumerate() {
            let (largest, log_sum) = log_sum_exp(logits);
            outputs[2].f32_mut()[2 * row..2 * row + 2].copy_from_slice(&[largest as f32, log_sum as f32]);
            let Some(target) = rows.target(target, self.ignore_index) else { continue };
            let shares = self.shares(rows, target, weights);
            // Without smoothing only the target's logarithm is asked for: another may be infinite.
            let asked = (0..rows.classes).filter(|&class| class == target || self.label_smoothing > 0.0);
            // Less the largest before the logarithm is added, which a logit of 1e30 would swallow.
            let loss = asked.map(|class| shares[class] * (log_sum - (f64::from(logits[class]) - largest))).sum();
            mean.add(loss, weights.map_or(1.0, |weights| f64::from(weights[target])));
            if rows.is_weighted {
                outputs[3].f32_mut()[row] = shares.iter().sum::<f64>() as f32;
            }
        }
        mean.write(outputs, rows.is_weighted.then_some(4));
    }

    fn launch(&self, rows: &Rows, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.expect_loop(rows.rows.max(2 * rows.classes))?;
        let losses = launch.scratch(2 * rows.rows);
        let inputs = [("logits", Operand::input(0)), ("targets", Operand::input(1))];
        let mut operands = [&inputs[..], &[("losses", losses), ("sums", Operand::output(2))]].concat();
        let mut weights = None;
        if rows.is_weighted {
            let row_weights = launch.scratch(rows.rows);
            operands.extend([("weights", Operand::input(2)), ("row_weights", row_weights)]);
            operands.push(("shares", Operand::output(3)));
            weights = Some((row_weights, Operand::output(4)));
        }
        launch.linear(self.kernel(&CROSS_ENTROPY_ROWS, rows), rows.rows, operands);
        mean_of_rows(launch, rows.rows, losses, weights);
        Ok(())
    }

    fn cost(&self, _: &Rows, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 5 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

/// dlogits = (softmax(logits) - smoothed one-hot target) * upstream / rows that count. With weights, softmax(logits)
/// counts the row's share times, the target the class's weight times, and the divisor is the sum of the weights of the
/// rows' targets. Inputs logits, target, the forward pass's divisor and row sums, the upstream gradient `[1]`; and with
/// weights these and the rows' shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropyBackward(pub CrossEntropy);

/// What its kernel reads, in the order of its inputs.
const OF_BACKWARD: [&str; 7] = ["logits", "targets", "divisor", "sums", "upstream", "weights", "shares"];

impl Op for CrossEntropyBackward {
    type Geometry = Rows;

    fn name(&self) -> &'static str {
        "cross_entropy_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let is_weighted = inputs.len() == OF_BACKWARD.len();
        expect_inputs(inputs, if is_weighted { OF_BACKWARD.len() } else { 5 })?;
        let [rows, classes] = expect_rows(inputs)?;
        Ok((vec![inputs[0].clone()], Rows { rows, classes, is_weighted }))
    }

    fn reference(&self, rows: &Rows, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let scale = f64::from(inputs[4].f32()[0]) / or_one(f64::from(inputs[2].f32()[0]));
        let weights = rows.weights(inputs, 5);
        let all = inputs[0].f32().chunks_exact(rows.classes).zip(inputs[1].u32());
        for (gradient, (logits, &target)) in outputs[0].f32_mut().chunks_exact_mut(rows.classes).zip(all) {
            let Some(target) = rows.target(target, self.0.ignore_index) else { continue };
            let shares = self.0.shares(rows, target, weights);
            let together: f64 = shares.iter().sum();
            let (largest, log_sum) = log_sum_exp(logits);
            for ((gradient, &z), share) in gradient.iter_mut().zip(logits).zip(shares) {
                let p = (f64::from(z) - largest - log_sum).exp();
                *gradient = ((p * together - share) * scale) as f32;
            }
        }
    }

    fn launch(&self, rows: &Rows, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let operands = Operand::inputs(&OF_BACKWARD[..launch.inputs()]).chain([("dlogits", Operand::output(0))]);
        launch.linear(self.0.kernel(&CROSS_ENTROPY_BACKWARD, rows), launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &Rows, shapes: &Shapes<'_>) -> Cost {
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
