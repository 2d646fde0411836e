//! One step of an optimizer on a pack of parameters, in place.

use super::loss_scale::{WITH_SKIP, is_skipped};
use super::{Decay, Element, GradientTransform, Optimizer};
use crate::graph::{Cost, Op};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{HostTensor, Shapes, TensorSpec};

/// Its operands are the rule's shader, whose bindings are the state.
pub(super) static STEP: Shader = Shader::new(
    "optimizer/step",
    &[
        write("parameters").when("elementwise"),
        read("parameters").unless("elementwise"),
        write("directions").unless("elementwise"),
        read("gradients"),
        read("scalars"),
        read("scale").when("scaled"),
    ],
);

/// What a device binds beside parameters, gradients, scalars and scale.
const MOST_STATES: usize = 4;

/// Parameters and states.
static ALL_UPDATES: [usize; MOST_STATES + 1] = [0, 1, 2, 3, 4];

/// p := p - lr * direction(g, state). Inputs: parameters, state tensors, gradients, the step's scalars
/// `[5]` ([`Optimizer::scalars`]), and with norm clipping the gradients' scale `[1]`; parameters and
/// state are updated. Scalars `[6]` say last whether the step is skipped. A rule that is not [elementwise](super::Rule::is_elementwise) updates the state only, and the
/// directions are its output.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerStep {
    /// The rule, with its attributes.
    pub optimizer: Optimizer,
    /// What becomes of gradients before.
    pub transform: GradientTransform,
    /// Times the learning rate: these parameters' own.
    pub rate: f32,
}

impl OptimizerStep {
    fn states(&self) -> usize {
        self.optimizer.state().len()
    }

    fn is_elementwise(&self) -> bool {
        self.optimizer.rule().is_elementwise(self.optimizer.values())
    }

    /// The weight decay of the gradient, and that of the parameter.
    fn decays(&self) -> [f64; 2] {
        let decay = self.optimizer.weight_decay();
        match self.optimizer.rule().decay() {
            Decay::Gradient => [decay, 0.0],
            Decay::Parameter => [0.0, decay],
            Decay::Own => [0.0; 2],
        }
    }

    fn kernel(&self) -> Kernel {
        let [gradient, parameter] = self.decays();
        self.transform
            .kernel(self.optimizer.kernel())
            .constant("WEIGHT_DECAY", gradient.max(parameter) as f32)
            .constant("RATE", self.rate)
            .condition("decay_gradient", gradient > 0.0)
            .condition("decay_parameter", parameter > 0.0)
            .condition("elementwise", self.is_elementwise())
            .condition("scaled", self.transform.clip_grad_norm.is_some())
    }

    /// The kernel where the step's scalars may say that it is skipped.
    fn kernel_for(&self, scalars: &TensorSpec) -> Kernel {
        self.kernel().condition("skippable", scalars.elements() == WITH_SKIP)
    }
}

impl Op for OptimizerStep {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "optimizer_step"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let states = self.states();
        if states > MOST_STATES {
            return Err(format!("a rule has up to {MOST_STATES} states"));
        }
        let expected = 3 + states + usize::from(self.transform.clip_grad_norm.is_some());
        crate::ops::expect_inputs(inputs, expected)?;
        match inputs[..=states + 1].iter().all(|spec| spec.shape == inputs[0].shape) {
            true if self.is_elementwise() => Ok((vec![], ())),
            true => Ok((vec![inputs[0].clone()], ())),
            false => Err("parameters, state and gradients have one shape".to_owned()),
        }
    }

    fn updates(&self) -> &'static [usize] {
        let first = usize::from(!self.is_elementwise());
        &ALL_UPDATES[first..=self.states()]
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let (states, rule) = (self.states(), self.optimizer.rule().reference(self.optimizer.values()));
        let gradients = inputs[states + 1].f32();
        if is_skipped(inputs[states + 2].f32()) {
            return;
        }
        let scalars: [f64; 5] = std::array::from_fn(|i| f64::from(inputs[states + 2].f32()[i]));
        let scale = inputs.get(states + 3).map_or(1.0, |scale| f64::from(scale.f32()[0]));
        let lr = scalars[0] * f64::from(self.rate);
        let [decay_gradient, decay_parameter] = self.decays();
        let is_elementwise = self.is_elementwise();
        let mut state = vec![0.0; states];
        for (i, &gradient) in gradients.iter().enumerate() {
            let before = f64::from(inputs[0].f32()[i]);
            let g = scale * self.transform.apply(f64::from(gradient), before) + decay_gradient * before;
            let p = before - lr * decay_parameter * before;
            for (slot, tensor) in state.iter_mut().zip(&outputs[1..]) {
                *slot = f64::from(tensor.f32()[i]);
            }
            let direction = rule(&mut state, Element { p, g, scalars });
            outputs[0].f32_mut()[i] = if is_elementwise { p - lr * direction } else { direction } as f32;
            for (slot, tensor) in state.iter().zip(&mut outputs[1..]) {
                tensor.f32_mut()[i] = *slot as f32;
            }
        }
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let states = self.optimizer.state();
        for (first, count) in chunks(launch, launch.input(0).elements()) {
            let slice = |input: usize| Operand::input(input).slice(first, count);
            let mut operands = vec![
                ("parameters", slice(0)),
                ("gradients", slice(states.len() + 1)),
                ("scalars", Operand::input(states.len() + 2)),
            ];
            operands.extend(states.iter().zip(1..).map(|(&(name, _), input)| (name, slice(input))));
            if !self.is_elementwise() {
                operands.push(("directions", Operand::output(0).slice(first, count)));
            }
            if self.transform.clip_grad_norm.is_some() {
                operands.push(("scale", Operand::input(states.len() + 3)));
            }
            let kernel = self.kernel_for(launch.input(states.len() + 2));
            launch.linear(kernel, count, operands);
        }
        Ok(())
    }

    fn cost(&self, (): &(), shapes: &Shapes<'_>) -> Cost {
        let read: u64 = shapes.bytes();
        let written = (1 + self.states() as u64) * 4 * shapes.inputs[0].elements() as u64;
        Cost { flops: 8 * shapes.inputs[0].elements() as u64, bytes: read + written }
    }
}

/// Runs of `total` elements that this device can bind at a time: first element and number.
pub(super) fn chunks(launch: &Launch<'_>, total: usize) -> Vec<(usize, usize)> {
    let limit = (launch.profile().max_binding_bytes / 4) as usize / 64 * 64;
    (0..total).step_by(limit.max(64)).map(|first| (first, limit.max(64).min(total - first))).collect()
}
