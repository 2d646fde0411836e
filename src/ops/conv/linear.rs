//! Linear layers: convolutions of 1x1 images.

use super::{ConvGeometry, check_bias, cost, forward, gradients, reference};
use crate::graph::{Backward, Cost, GraphError, OnnxAttribute, OnnxNode, Op, Value};
use crate::kernel::{Launch, Unsupported};
use crate::tensor::{HostTensor, Shape, Shapes, TensorSpec};

/// y = x W^T + b over the last dimension; inputs x `[..., in]`, weight `[out, in]` and, optionally,
/// bias `[out]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear;

impl Linear {
    fn geometry(x: &Shape, weight: &Shape) -> Result<ConvGeometry, String> {
        match (x.split_last(), &weight[..]) {
            (Some((&inputs, rows)), &[outputs, features]) if features == inputs => {
                Ok(ConvGeometry::linear(rows.iter().product(), inputs, outputs))
            }
            _ => Err("the last dimension of x is the second of the weight [out, in]".to_owned()),
        }
    }
}

impl Op for Linear {
    type Geometry = ConvGeometry;

    fn name(&self) -> &'static str {
        "linear"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        let [x, weight, bias @ ..] = inputs else {
            return Err("it takes features, a weight and, optionally, a bias".to_owned());
        };
        let geometry = Linear::geometry(&x.shape, &weight.shape)?;
        check_bias(bias, geometry.filters)?;
        let mut shape = x.shape.to_vec();
        if let Some(last) = shape.last_mut() {
            *last = geometry.filters;
        }
        Ok((vec![TensorSpec::f32(shape)], geometry))
    }

    fn gradient(&self, geometry: &ConvGeometry, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        gradients(backward, *geometry)
    }

    fn reference(&self, geometry: &ConvGeometry, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let bias = inputs.get(2).map(|bias| bias.f32());
        reference::forward(geometry, inputs[0].f32(), inputs[1].f32(), bias, outputs[0].f32_mut());
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, geometry: &ConvGeometry, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        forward(launch, geometry)
    }

    fn takes_activation(&self) -> bool {
        true
    }

    fn cost(&self, geometry: &ConvGeometry, shapes: &Shapes<'_>) -> Cost {
        cost(geometry, shapes)
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let inputs = node.inputs();
        if node.input_shape(0).len() == 2 {
            node.give("Gemm", inputs, vec![OnnxAttribute::int("transB", 1)]);
            return Ok(());
        }
        let weight = node.step("Transpose", vec![inputs[1].clone()], vec![OnnxAttribute::ints("perm", [1, 0])]);
        let factors = vec![inputs[0].clone(), weight];
        match inputs.get(2) {
            Some(bias) => {
                let product = node.step("MatMul", factors, vec![]);
                node.give("Add", vec![product, bias.clone()], vec![]);
            }
            None => node.give("MatMul", factors, vec![]),
        }
        Ok(())
    }
}
