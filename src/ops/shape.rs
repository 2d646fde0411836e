//! Ops that only say the shape anew.

mod card;

pub(crate) use card::CARD;

use super::expect_inputs;
use crate::graph::{Backward, GraphError, OnnxNode, OnnxSize, Op, Value};
use crate::kernel::{Launch, Unsupported};
use crate::tensor::{HostTensor, Shape, TensorSpec};

/// The same elements in the same order under another shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// Of y, with as many elements as x.
    pub shape: Shape,
}

impl Op for Reshape {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "reshape"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        if inputs[0].elements() != self.shape.elements() {
            return Err(format!("{} holds another number of elements", self.shape));
        }
        Ok((vec![TensorSpec { shape: self.shape.clone(), element: inputs[0].element }], ()))
    }

    fn gradient(&self, (): &(), backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None]) };
        let shape = backward.shape(backward.input(0)).clone();
        Ok(vec![Some(backward.apply_one(Reshape { shape }, &[dy])?)])
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        outputs[0] = inputs[0].clone();
    }

    fn launch(&self, (): &(), _: &mut Launch<'_>) -> Result<(), Unsupported> {
        Ok(())
    }

    fn is_view(&self) -> bool {
        true
    }

    /// One size may follow from the others.
    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let sizes = node.output_sizes(0)?;
        let number = |size: &OnnxSize| match size {
            OnnxSize::Fixed(size) => *size as i64,
            OnnxSize::Batch(_) => -1,
        };
        let shape = match sizes.iter().filter(|size| matches!(size, OnnxSize::Batch(_))).count() {
            0 | 1 => node.ints(sizes.iter().map(number)),
            _ => node.shape_list(&sizes),
        };
        node.give("Reshape", [node.inputs(), vec![shape]].concat(), vec![]);
        Ok(())
    }
}
