//! How far each tensor of a pack may be trusted to go: the norm of its weights over that of its directions.

use super::step::chunks;
use crate::graph::{Cost, Op, PACK_ALIGNMENT};
use crate::kernel::{Kernel, Launch, MAX_LOOP_STEPS, Operand, Shader, Unsupported, read, write};
use crate::ops::expect_inputs;
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static BLOCK_SQUARES: Shader =
    Shader::new("optimizer/block_squares", &[read("parameters"), read("directions"), write("squares")]);
static MEMBER_SQUARES: Shader = Shader::new("optimizer/member_squares", &[read("squares"), write("parts")]);
static TRUST_RATIO: Shader = Shader::new("optimizer/trust_ratio", &[read("parts"), write("ratios")]);

/// Elements that have one ratio: a member of a pack begins at a multiple of them.
pub(super) const BLOCK: usize = PACK_ALIGNMENT;

/// ||p|| / ||d|| of each member of a pack, 1 where one of the norms is 0 or NaN, for each block of `PACK_ALIGNMENT`
/// elements. Inputs: the pack, and as many directions. The sums are taken in a fixed order: blocks, lanes of a member,
/// members.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustRatios {
    /// The first element of each member.
    pub offsets: Vec<usize>,
    /// No ratio is above 1.
    pub clip: bool,
}

impl Op for TrustRatios {
    /// The first block of each member, and the end of the last.
    type Geometry = Vec<usize>;

    fn name(&self) -> &'static str {
        "trust_ratios"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        let elements = inputs[0].elements();
        let is_pack = elements.is_multiple_of(BLOCK) && self.offsets.iter().all(|offset| offset.is_multiple_of(BLOCK));
        let starts: Vec<usize> = self.offsets.iter().copied().chain([elements]).map(|offset| offset / BLOCK).collect();
        let in_order = self.offsets.first() == Some(&0) && starts.is_sorted();
        match is_pack && in_order && inputs[1].elements() == elements {
            true => Ok((vec![TensorSpec::f32([elements / BLOCK])], starts)),
            false => Err(format!("it takes a pack whose members begin at multiples of {BLOCK}, and its directions")),
        }
    }

    fn reference(&self, starts: &Vec<usize>, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let norm = |of: &[f32]| of.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        for member in starts.windows(2) {
            let elements = member[0] * BLOCK..member[1] * BLOCK;
            let (weights, directions) = (norm(&inputs[0].f32()[elements.clone()]), norm(&inputs[1].f32()[elements]));
            let ratio = if weights > 0.0 && directions > 0.0 { weights / directions } else { 1.0 };
            let ratio = if self.clip { ratio.min(1.0) } else { ratio };
            outputs[0].f32_mut()[member[0]..member[1]].fill(ratio as f32);
        }
    }

    fn launch(&self, starts: &Vec<usize>, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let elements = launch.input(0).elements();
        let squares = launch.scratch(2 * elements / BLOCK);
        for (first, count) in chunks(launch, elements) {
            let kernel = Kernel::new(&BLOCK_SQUARES).constant("BLOCK", BLOCK).argument("first", first / BLOCK);
            let operands = [
                ("parameters", Operand::input(0).slice(first, count)),
                ("directions", Operand::input(1).slice(first, count)),
                ("squares", squares),
            ];
            launch.linear(kernel, count / BLOCK, operands);
        }
        let largest = starts.windows(2).map(|member| member[1] - member[0]).max().unwrap_or(0);
        let lanes = largest.div_ceil(MAX_LOOP_STEPS).next_multiple_of(64);
        let members = self.offsets.len();
        let parts = launch.scratch(2 * members * lanes);
        let by_member = |shader| Kernel::new(shader).constant("LANES", lanes).constant("STARTS", starts.clone());
        launch.linear(by_member(&MEMBER_SQUARES), members * lanes, [("squares", squares), ("parts", parts)]);
        let ratio = by_member(&TRUST_RATIO).condition("clipped", self.clip);
        launch.linear(ratio, members * lanes, [("parts", parts), ("ratios", Operand::output(0))]);
        Ok(())
    }

    fn cost(&self, _: &Vec<usize>, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 4 * shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}
