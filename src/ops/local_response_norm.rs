//! Local response normalisation across channels (Krizhevsky et al. 2012).

mod card;

pub(crate) use card::CARD;

use super::{expect_finite, expect_inputs};
use crate::graph::{Backward, Cost, GraphError, OnnxAttribute, OnnxNode, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{ElementType, HostTensor, Shapes, TensorSpec};
use std::ops::RangeInclusive;

static FORWARD: Shader =
    Shader::new("local_response_norm/forward", &[read("x"), write("y"), write("sums").when("keeps_sums")]);
static BACKWARD_TERMS: Shader =
    Shader::new("local_response_norm/backward_terms", &[read("x"), read("s"), read("dy"), write("terms")]);
static BACKWARD: Shader =
    Shader::new("local_response_norm/backward", &[read("x"), read("s"), read("dy"), read("terms"), write("dx")]);

/// `y[c] = x[c] / s[c]^beta`, `s[c]` = k + alpha / size * sum of x^2 over the channels c - size / 2 ..
/// c + (size - 1) / 2 that exist. Input x `[N, C, ...]`; outputs y and, for the backward pass, s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponseNorm {
    /// Channels that a sum spans.
    pub size: usize,
    /// Factor of the mean square.
    pub alpha: f32,
    /// The power.
    pub beta: f32,
    /// What is added to the mean square.
    pub k: f32,
}

/// Channels of x, and elements of an image in each.
#[derive(Clone, Copy, Debug)]
pub struct Channels {
    count: usize,
    inner: usize,
}

impl LocalResponseNorm {
    /// alpha 1e-4, beta 0.75, k 1.
    pub fn new(size: usize) -> Self {
        LocalResponseNorm { size, alpha: 1e-4, beta: 0.75, k: 1.0 }
    }

    /// The channels whose squares are in the sum of channel c.
    fn window(&self, c: usize, channels: usize) -> RangeInclusive<usize> {
        c.saturating_sub(self.size / 2)..=(c + (self.size - 1) / 2).min(channels - 1)
    }

    fn kernel(&self, shader: &'static Shader, &Channels { count, inner }: &Channels) -> Kernel {
        Kernel::new(shader)
            .constants([("CHANNELS", count), ("INNER", inner), ("SIZE", self.size.min(2 * count + 1))])
            .constants([("ALPHA", self.alpha / self.size as f32), ("BETA", self.beta), ("K", self.k)])
    }

    fn check(&self, x: &TensorSpec) -> Result<Channels, String> {
        for (attribute, value) in [("alpha", self.alpha), ("beta", self.beta), ("k", self.k)] {
            expect_finite(attribute, value)?;
        }
        match x.element == ElementType::F32 && x.shape.len() >= 2 && x.shape[1] > 0 && self.size > 0 {
            true => Ok(Channels { count: x.shape[1], inner: x.shape.stride(1) }),
            false => Err("it takes f32 of shape [N, C, ...] and a size of at least 1".to_owned()),
        }
    }
}

impl Op for LocalResponseNorm {
    type Geometry = Channels;

    fn name(&self) -> &'static str {
        "local_response_norm"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        Ok((vec![inputs[0].clone(); 2], self.check(inputs[0])?))
    }

    fn gradient(&self, _: &Channels, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let inputs = [backward.input(0), backward.output(1), dy];
        Ok(vec![Some(backward.apply_one(LocalResponseNormBackward(*self), &inputs)?)])
    }

    fn reference(
        &self,
        &Channels { count: channels, inner }: &Channels,
        inputs: &[&HostTensor],
        outputs: &mut [HostTensor],
    ) {
        let x = |i: usize| f64::from(inputs[0].f32()[i]);
        for i in 0..inputs[0].len() {
            let c = i / inner % channels;
            let squares: f64 = self.window(c, channels).map(|other| x(i + other * inner - c * inner).powi(2)).sum();
            let s = f64::from(self.k) + f64::from(self.alpha) / self.size as f64 * squares;
            outputs[0].f32_mut()[i] = (x(i) * s.powf(-f64::from(self.beta))) as f32;
            outputs[1].f32_mut()[i] = s as f32;
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, channels: &Channels, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let sums = launch.is_read(1);
        let kernel = self.kernel(&FORWARD, channels).condition("keeps_sums", sums);
        let mut operands = vec![("x", Operand::input(0)), ("y", Operand::output(0))];
        if sums {
            operands.push(("sums", Operand::output(1)));
        }
        launch.linear(kernel, launch.output(0).elements(), operands);
        Ok(())
    }

    fn cost(&self, _: &Channels, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 2 * (self.size * shapes.inputs[0].elements()) as u64, bytes: shapes.bytes() }
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        if self.size.is_multiple_of(2) {
            return Err(format!("its window of {} channels, an even number, lies otherwise there", self.size));
        }
        let attributes = vec![
            OnnxAttribute::float("alpha", self.alpha),
            OnnxAttribute::float("beta", self.beta),
            OnnxAttribute::float("bias", self.k),
            OnnxAttribute::int("size", self.size),
        ];
        node.give("LRN", node.inputs(), attributes);
        Ok(())
    }
}

/// `dx[c] = dy[c] / s[c]^beta - 2 alpha beta / size * x[c] * sum of dy[j] x[j] / s[j]^(beta + 1)` over
/// the channels j whose sum holds channel c; inputs x, s and dy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponseNormBackward(pub LocalResponseNorm);

impl Op for LocalResponseNormBackward {
    type Geometry = Channels;

    fn name(&self) -> &'static str {
        "local_response_norm_backward"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 3)?;
        let channels = self.0.check(inputs[0])?;
        match inputs.iter().all(|input| *input == inputs[0]) {
            true => Ok((vec![inputs[0].clone()], channels)),
            false => Err("x, its sums and the gradient have one shape".to_owned()),
        }
    }

    fn reference(
        &self,
        &Channels { count: channels, inner }: &Channels,
        inputs: &[&HostTensor],
        outputs: &mut [HostTensor],
    ) {
        let norm = &self.0;
        let [x, s, dy] = [0, 1, 2].map(|input| move |i: usize| f64::from(inputs[input].f32()[i]));
        let beta = f64::from(norm.beta);
        for i in 0..inputs[0].len() {
            let c = i / inner % channels;
            let holders = (0..channels).filter(|&other| norm.window(other, channels).contains(&c));
            let indices = holders.map(|other| i + other * inner - c * inner);
            let sum: f64 = indices.map(|j| dy(j) * x(j) * s(j).powf(-beta - 1.0)).sum();
            let through_sums = 2.0 * f64::from(norm.alpha) * beta / norm.size as f64 * x(i) * sum;
            outputs[0].f32_mut()[i] = (dy(i) * s(i).powf(-beta) - through_sums) as f32;
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, channels: &Channels, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let count = launch.output(0).elements();
        let terms = ("terms", launch.scratch(count));
        let [x, s, dy] = [("x", Operand::input(0)), ("s", Operand::input(1)), ("dy", Operand::input(2))];
        let kernel = self.0.kernel(&BACKWARD_TERMS, channels);
        launch.linear(kernel, count, [x, s, dy, terms]);
        let kernel = self.0.kernel(&BACKWARD, channels);
        launch.linear(kernel, count, [x, s, dy, terms, ("dx", Operand::output(0))]);
        Ok(())
    }

    fn cost(&self, _: &Channels, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 2 * (self.0.size * shapes.inputs[0].elements()) as u64, bytes: shapes.bytes() }
    }
}
