//! Dropout (Srivastava et al. 2014) with counter-based random bits.

mod card;

pub(crate) use card::{CARD, not_finite, seed_and_step};

use super::expect_inputs;
use crate::graph::{Backward, GraphError, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{ElementType, HostTensor, TensorSpec};

static DROPOUT: Shader = Shader::new("dropout/dropout", &[read("x"), read("numbers").u32(), write("y")]);

/// y = x / (1 - p) with probability 1 - p, else 0 * x: NaN, where x is not finite. Inputs x and step numbers of u32:
/// the seed's low and high half, and the step.
///
/// The bits of an element come from seed, step, `salt` and its index alone: the same seed drops the
/// same elements on any device, and the backward pass drops them again without a stored mask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Probability that an element is dropped, from 0 to below 1.
    pub p: f32,
    /// Tells layers apart.
    pub salt: u32,
}

impl Dropout {
    /// Elements whose bits are below this are dropped.
    fn threshold(&self) -> u32 {
        (f64::from(self.p) * 4_294_967_296.0) as u32
    }

    fn scale(&self) -> f32 {
        (1.0 / (1.0 - f64::from(self.p))) as f32
    }
}

/// A bijection of 32 bits whose outputs pass for random (Wellons' lowbias32).
fn mix(mut bits: u32) -> u32 {
    bits = (bits ^ (bits >> 16)).wrapping_mul(0x7feb_352d);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x846c_a68b);
    bits ^ (bits >> 16)
}

impl Op for Dropout {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        if !(0.0..1.0).contains(&self.p) {
            return Err(format!("p = {} is not in [0, 1)", self.p));
        }
        if inputs[1].element != ElementType::U32 || inputs[1].elements() < 3 {
            return Err("its step numbers are three of u32".to_owned());
        }
        Ok((vec![inputs[0].clone()], ()))
    }

    fn gradient(&self, (): &(), backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None, None]) };
        let numbers = backward.input(1);
        Ok(vec![Some(backward.apply_one(*self, &[dy, numbers])?), None])
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let numbers = inputs[1].u32();
        let key = mix(numbers[0] ^ mix(numbers[1] ^ mix(numbers[2] ^ mix(self.salt))));
        for (index, (y, &x)) in (0..).zip(outputs[0].f32_mut().iter_mut().zip(inputs[0].f32())) {
            *y = x * if mix(key ^ mix(index)) < self.threshold() { 0.0 } else { self.scale() };
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&DROPOUT)
            .constant("SALT", self.salt)
            .constant("THRESHOLD", self.threshold())
            .constant("SCALE", self.scale());
        let operands = [("x", Operand::input(0)), ("numbers", Operand::input(1)), ("y", Operand::output(0))];
        launch.linear(kernel, launch.output(0).elements(), operands);
        Ok(())
    }
}
