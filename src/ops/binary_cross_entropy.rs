//! Binary cross-entropy: for each element, a label of its own.

mod card;

pub(crate) use card::CARD;

use super::activation::Activation;
use super::expect_inputs;
use crate::graph::{Backward, Cost, GraphError, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{ElementType, HostTensor, Shapes, TensorSpec};

static FORWARD: Shader = Shader::new(
    "loss/binary_cross_entropy",
    &[read("x"), read("targets"), read("pos_weights").when("pos_weighted"), write("losses")],
);
static BACKWARD: Shader = Shader::new(
    "loss/binary_cross_entropy_backward",
    &[read("x"), read("targets"), read("upstream"), read("pos_weights").when("pos_weighted"), write("dx")],
);

/// The loss of each element x whose target is t, from 0 to 1. Inputs x and t of one shape and, of logits, perhaps how
/// often the positive part counts: numbers of the last dimensions of x, such as `[C]`. There is no gradient of t.
///
/// As in PyTorch, which then takes the mean; `Scope::bce_with_logits` of [`nn`](crate::nn) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BinaryCrossEntropy {
    /// -t log p - (1 - t) log(1 - p), of probabilities p = x, from 0 to 1. No logarithm is taken for less than -100.
    OfProbabilities,
    /// -w t log p - (1 - t) log(1 - p), p = sigmoid(x), w the weight of the positive part, or 1.
    OfLogits,
}

/// A logarithm that is less counts as this.
const LEAST_LOGARITHM: f64 = -100.0;
/// p (1 - p) is not less than this in a gradient.
const LEAST_PRODUCT: f64 = 1e-12;

fn logarithm(p: f64) -> f64 {
    // A comparison leaves NaN as it is; max does not.
    if p.ln() < LEAST_LOGARITHM { LEAST_LOGARITHM } else { p.ln() }
}

impl BinaryCrossEntropy {
    /// The op's name in graphs and cases.
    pub fn function(&self) -> &'static str {
        match self {
            BinaryCrossEntropy::OfProbabilities => "bce",
            BinaryCrossEntropy::OfLogits => "bce_with_logits",
        }
    }

    fn value(&self, x: f64, t: f64, pos_weight: f64) -> f64 {
        match self {
            BinaryCrossEntropy::OfProbabilities => -(t * logarithm(x) + (1.0 - t) * logarithm(1.0 - x)),
            BinaryCrossEntropy::OfLogits => {
                let softplus = Activation::Softplus { beta: 1.0, threshold: f32::INFINITY };
                (1.0 - t) * x + (1.0 + (pos_weight - 1.0) * t) * softplus.value(-x)
            }
        }
    }

    fn slope(&self, x: f64, t: f64, pos_weight: f64) -> f64 {
        match self {
            BinaryCrossEntropy::OfProbabilities => (x - t) / f64::max(x * (1.0 - x), LEAST_PRODUCT),
            BinaryCrossEntropy::OfLogits => (pos_weight * t + 1.0 - t) * Activation::Sigmoid.value(x) - pos_weight * t,
        }
    }

    fn kernel(&self, shader: &'static Shader, positives: usize) -> Kernel {
        let kernel = Kernel::new(shader)
            .condition("of_logits", *self == BinaryCrossEntropy::OfLogits)
            .condition("pos_weighted", positives > 0);
        if positives > 0 { kernel.constant("POSITIVES", positives) } else { kernel }
    }

    /// Checks x and targets, and the weights at `place`, of which it gives the number: 0 of none.
    fn positives(&self, inputs: &[&TensorSpec], place: usize) -> Result<usize, String> {
        let is_weighted = inputs.len() > place && *self == BinaryCrossEntropy::OfLogits;
        expect_inputs(inputs, place + usize::from(is_weighted))?;
        if inputs[0] != inputs[1] || inputs[0].element != ElementType::F32 {
            return Err("it takes x and targets of one shape, of f32".to_owned());
        }
        let Some(weights) = inputs.get(place) else { return Ok(0) };
        match inputs[0].shape.ends_with(&weights.shape) && weights.element == ElementType::F32 {
            true => Ok(weights.elements()),
            false => Err(format!(
                "its weights of positives are {}, but must have the last dimensions of {}",
                weights.shape, inputs[0].shape
            )),
        }
    }
}

/// The weight of the positive part at each element, `count` of them in turn.
fn pos_weight<'a>(inputs: &[&'a HostTensor], place: usize, count: usize) -> impl Fn(usize) -> f64 + use<'a> {
    let weights = (count > 0).then(|| inputs[place].f32());
    move |index| weights.map_or(1.0, |weights| f64::from(weights[index % count]))
}

impl Op for BinaryCrossEntropy {
    /// Number of weights of positives.
    type Geometry = usize;

    fn name(&self) -> &'static str {
        self.function()
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let positives = self.positives(inputs, 2)?;
        Ok((vec![inputs[0].clone()], positives))
    }

    fn gradient(&self, &positives: &usize, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let mut gradients = vec![None; backward.inputs()];
        if let Some(upstream) = backward.upstream() {
            let mut inputs = vec![backward.input(0), backward.input(1), upstream];
            inputs.extend((positives > 0).then(|| backward.input(2)));
            gradients[0] = Some(backward.apply_one(BinaryCrossEntropyBackward(*self), &inputs)?);
        }
        Ok(gradients)
    }

    fn reference(&self, &positives: &usize, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let weight = pos_weight(inputs, 2, positives);
        let pairs = inputs[0].f32().iter().zip(inputs[1].f32()).enumerate();
        for (loss, (index, (&x, &t))) in outputs[0].f32_mut().iter_mut().zip(pairs) {
            *loss = self.value(f64::from(x), f64::from(t), weight(index)) as f32;
        }
    }

    fn launch(&self, &positives: &usize, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let operands = Operand::inputs(&["x", "targets", "pos_weights"][..launch.inputs()]);
        let operands: Vec<_> = operands.chain([("losses", Operand::output(0))]).collect();
        launch.linear(self.kernel(&FORWARD, positives), launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &usize, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 6 * shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

/// The derivative by x, times the upstream gradient; inputs x, targets, upstream, and the weights of positives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinaryCrossEntropyBackward(pub BinaryCrossEntropy);

impl Op for BinaryCrossEntropyBackward {
    type Geometry = usize;

    fn name(&self) -> &'static str {
        "bce_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let positives = self.0.positives(inputs, 3)?;
        Ok((vec![inputs[0].clone()], positives))
    }

    fn reference(&self, &positives: &usize, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let weight = pos_weight(inputs, 3, positives);
        let [x, t, upstream] = [0, 1, 2].map(|input| inputs[input].f32());
        for (index, dx) in outputs[0].f32_mut().iter_mut().enumerate() {
            let slope = self.0.slope(f64::from(x[index]), f64::from(t[index]), weight(index));
            *dx = (slope * f64::from(upstream[index])) as f32;
        }
    }

    fn launch(&self, &positives: &usize, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let operands = Operand::inputs(&["x", "targets", "upstream", "pos_weights"][..launch.inputs()]);
        let operands: Vec<_> = operands.chain([("dx", Operand::output(0))]).collect();
        launch.linear(self.0.kernel(&BACKWARD, positives), launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &usize, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 6 * shapes.outputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
