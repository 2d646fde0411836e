//! Ops that only say the shape anew.

use super::expect_inputs;
use crate::graph::{Backward, GraphError, Op, Value};
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
}
