//! One step of an optimizer on a pack of parameters, in place.

use super::{Adagrad, Adam, AdamW, GradientTransform, Lion, NAdam, Optimizer, RmsProp, Sgd, SignSgd};
use crate::graph::{Cost, Op};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static STEP: Shader = Shader::new(
    "optimizer/step",
    &[
        write("parameters"),
        write("state_a").when("one_state"),
        write("state_b").when("two_states"),
        write("state_c").when("three_states"),
        read("gradients"),
        read("scalars"),
        read("scale").when("scaled"),
    ],
);

/// p := p - lr * direction(g, state). Inputs: parameters, state tensors, gradients, the step's scalars
/// `[5]` ([`Optimizer::scalars`]), and with norm clipping the gradients' scale `[1]`; parameters and
/// state are updated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerStep {
    pub optimizer: Optimizer,
    pub transform: GradientTransform,
    /// Times the learning rate: these parameters' own.
    pub rate: f32,
}

/// Centred RMSprop takes no variance for less than this share of the mean square: what is less is the rounding of
/// the two averages, and a gradient over its root anything.
const LEAST_SPREAD: f64 = 1.192_092_9e-7;

impl OptimizerStep {
    fn states(&self) -> usize {
        self.optimizer.state().len()
    }

    /// The constants of the rule, as the kernel names them, and the conditions that hold.
    fn kernel(&self) -> Kernel {
        let (alpha, beta, gamma, eps) = self.coefficients();
        let optimizer = &self.optimizer;
        let is = |name: &str| optimizer.name() == name;
        let amsgrad = matches!(
            optimizer,
            Optimizer::Adam(Adam { amsgrad: true, .. }) | Optimizer::AdamW(AdamW { amsgrad: true, .. })
        );
        let (centered, momentum) = match *optimizer {
            Optimizer::RmsProp(RmsProp { centered, momentum, .. }) => (centered, momentum > 0.0),
            Optimizer::Sgd(Sgd { momentum, .. }) => (false, momentum > 0.0),
            _ => (false, false),
        };
        let decoupled = is("adamw") || is("lion");
        transform_kernel(Kernel::new(&STEP), &self.transform)
            .constant("ALPHA", alpha as f32)
            .constant("ONE_LESS_ALPHA", (1.0 - alpha) as f32)
            .constant("BETA", beta as f32)
            .constant("ONE_LESS_BETA", (1.0 - beta) as f32)
            .constant("GAMMA", gamma as f32)
            .constant("EPS", eps as f32)
            .constant("WEIGHT_DECAY", optimizer.weight_decay() as f32)
            .constant("RATE", self.rate)
            .condition(if is("adamw") { "adam" } else { optimizer.name() }, true)
            .condition("decay_gradient", optimizer.weight_decay() > 0.0 && !decoupled)
            .condition("decay_parameter", optimizer.weight_decay() > 0.0 && decoupled)
            .condition("nesterov", matches!(optimizer, Optimizer::Sgd(Sgd { nesterov: true, .. })))
            .condition("amsgrad", amsgrad)
            .condition("centered", centered)
            .condition("momentum", momentum)
            .condition("one_state", self.states() >= 1)
            .condition("two_states", self.states() >= 2)
            .condition("three_states", self.states() >= 3)
            .condition("scaled", self.transform.clip_grad_norm.is_some())
    }

    /// Up to three coefficients of the rule and its eps: betas; momentum and dampening; alpha and
    /// momentum.
    fn coefficients(&self) -> (f64, f64, f64, f64) {
        match self.optimizer {
            Optimizer::Sgd(Sgd { momentum, dampening, .. }) => (momentum, dampening, 0.0, 0.0),
            Optimizer::Adam(Adam { betas, eps, .. })
            | Optimizer::AdamW(AdamW { betas, eps, .. })
            | Optimizer::NAdam(NAdam { betas, eps, .. }) => (betas[0], betas[1], 0.0, eps),
            Optimizer::RmsProp(RmsProp { alpha, eps, momentum, .. }) => (alpha, 0.0, momentum, eps),
            Optimizer::Adagrad(Adagrad { eps, .. }) => (0.0, 0.0, 0.0, eps),
            Optimizer::SignSgd(SignSgd { momentum, .. }) => (momentum, 0.0, 0.0, 0.0),
            Optimizer::Lion(Lion { betas, .. }) => (betas[0], betas[1], 0.0, 0.0),
        }
    }

    /// The step of one element: parameter and state, in f64.
    fn update(&self, p: &mut f64, s: &mut [f64; 3], gradient: f64, scalars: &[f64; 5]) {
        let [lr, a, b, c, first] = *scalars;
        let lr = lr * f64::from(self.rate);
        let decay = self.optimizer.weight_decay();
        let decayed = gradient + decay * *p;
        let (alpha, beta, gamma, eps) = self.coefficients();
        match self.optimizer {
            Optimizer::Sgd(Sgd { nesterov, .. }) => {
                let g = decayed;
                let direction = if alpha > 0.0 {
                    s[0] = if first > 0.0 { g } else { alpha * s[0] + (1.0 - beta) * g };
                    if nesterov { g + alpha * s[0] } else { s[0] }
                } else {
                    g
                };
                *p -= lr * direction;
            }
            Optimizer::Adam(Adam { amsgrad, .. }) | Optimizer::AdamW(AdamW { amsgrad, .. }) => {
                let decoupled = matches!(self.optimizer, Optimizer::AdamW(_));
                let g = if decoupled { gradient } else { decayed };
                if decoupled {
                    *p *= 1.0 - lr * decay;
                }
                s[0] = alpha * s[0] + (1.0 - alpha) * g;
                s[1] = beta * s[1] + (1.0 - beta) * g * g;
                s[2] = larger(s[2], s[1]);
                let v = if amsgrad { s[2] } else { s[1] };
                *p -= lr * a * s[0] / ((v * b).sqrt() + eps);
            }
            Optimizer::NAdam(_) => {
                s[0] = alpha * s[0] + (1.0 - alpha) * decayed;
                s[1] = beta * s[1] + (1.0 - beta) * decayed * decayed;
                *p -= lr * (a * s[0] + c * decayed) / ((s[1] * b).sqrt() + eps);
            }
            Optimizer::RmsProp(RmsProp { centered, momentum, .. }) => {
                s[0] = alpha * s[0] + (1.0 - alpha) * decayed * decayed;
                let mut v = s[0];
                if centered {
                    s[1] += (1.0 - alpha) * (decayed - s[1]);
                    v = larger(v - s[1] * s[1], LEAST_SPREAD * v);
                }
                let mut direction = decayed / (v.sqrt() + eps);
                if momentum > 0.0 {
                    let buffer = &mut s[if centered { 2 } else { 1 }];
                    *buffer = gamma * *buffer + direction;
                    direction = *buffer;
                }
                *p -= lr * direction;
            }
            Optimizer::Adagrad(_) => {
                s[0] += decayed * decayed;
                *p -= lr * a * decayed / (s[0].sqrt() + eps);
            }
            Optimizer::SignSgd(_) => {
                s[0] = alpha * s[0] + (1.0 - alpha) * decayed;
                *p -= lr * sign(s[0]);
            }
            Optimizer::Lion(_) => {
                *p *= 1.0 - lr * decay;
                *p -= lr * sign(alpha * s[0] + (1.0 - alpha) * gradient);
                s[0] = beta * s[0] + (1.0 - beta) * gradient;
            }
        }
    }
}

impl Op for OptimizerStep {
    fn name(&self) -> &'static str {
        "optimizer_step"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let states = self.states();
        let expected = 3 + states + usize::from(self.transform.clip_grad_norm.is_some());
        crate::ops::expect_inputs(inputs, expected)?;
        match inputs[..=states + 1].iter().all(|spec| spec.shape == inputs[0].shape) {
            true => Ok(vec![]),
            false => Err("parameters, state and gradients have one shape".to_owned()),
        }
    }

    fn updates(&self) -> &'static [usize] {
        &[0, 1, 2, 3][..=self.states()]
    }

    fn reference(&self, inputs: &[&HostTensor], outputs: &mut [HostTensor], _: &Shapes<'_>) {
        let states = self.states();
        let gradients = inputs[states + 1].f32();
        let scalars: [f64; 5] = std::array::from_fn(|i| f64::from(inputs[states + 2].f32()[i]));
        let scale = inputs.get(states + 3).map_or(1.0, |scale| f64::from(scale.f32()[0]));
        for (i, &gradient) in gradients.iter().enumerate() {
            let mut p = f64::from(outputs[0].f32()[i]);
            let gradient = scale * transformed(&self.transform, f64::from(gradient), p);
            let mut state = [0.0; 3];
            for (which, slot) in state.iter_mut().enumerate().take(states) {
                *slot = f64::from(outputs[1 + which].f32()[i]);
            }
            self.update(&mut p, &mut state, gradient, &scalars);
            outputs[0].f32_mut()[i] = p as f32;
            for (which, slot) in state.iter().enumerate().take(states) {
                outputs[1 + which].f32_mut()[i] = *slot as f32;
            }
        }
    }

    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let states = self.states();
        let scaled = self.transform.clip_grad_norm.is_some();
        for (first, count) in chunks(launch) {
            let slice = |input: usize| Operand::input(input).slice(first, count);
            let mut operands = vec![
                ("parameters", slice(0)),
                ("gradients", slice(states + 1)),
                ("scalars", Operand::input(states + 2)),
            ];
            let names = ["state_a", "state_b", "state_c"];
            operands.extend(names.into_iter().zip(1..).take(states).map(|(name, input)| (name, slice(input))));
            operands.extend(scaled.then(|| ("scale", Operand::input(states + 3))));
            launch.linear(self.kernel(), count, operands);
        }
        Ok(())
    }

    fn cost(&self, shapes: &Shapes<'_>) -> Cost {
        let read: u64 = shapes.bytes();
        let written = (1 + self.states() as u64) * 4 * shapes.inputs[0].elements() as u64;
        Cost { flops: 8 * shapes.inputs[0].elements() as u64, bytes: read + written }
    }
}

/// Runs of elements of the first input that this device can bind at a time.
pub(super) fn chunks(launch: &Launch<'_>) -> Vec<(usize, usize)> {
    let total = launch.input(0).elements();
    let limit = (launch.profile().max_binding_bytes / 4) as usize / 64 * 64;
    (0..total).step_by(limit.max(64)).map(|first| (first, limit.max(64).min(total - first))).collect()
}

/// A gradient with l1 and value clipping; p is its parameter.
pub(super) fn transformed(transform: &GradientTransform, gradient: f64, p: f64) -> f64 {
    let gradient = gradient + transform.l1 * sign(p);
    transform.clip_grad_value.map_or(gradient, |limit| gradient.clamp(-limit, limit))
}

pub(super) fn transform_kernel(kernel: Kernel, transform: &GradientTransform) -> Kernel {
    kernel
        .constant("L1", transform.l1 as f32)
        .constant("CLIP_VALUE", transform.clip_grad_value.unwrap_or(0.0) as f32)
        .condition("l1", transform.l1 > 0.0)
        .condition("clip_value", transform.clip_grad_value.is_some())
}

/// The larger of two numbers, NaN where one is.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// -1, 0 or 1, NaN for NaN.
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}
