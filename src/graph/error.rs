//! What can be wrong with a graph.

use crate::tensor::Shape;

/// A graph that cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum GraphError {
    #[error("layer `{layer}`: {op} does not take inputs of shapes {inputs:?}: {rule}")]
    Shape { layer: String, op: &'static str, inputs: Vec<Shape>, rule: String },
    #[error(
        "`{name}` would have the sizes {shape}, but a tensor holds at most {most} elements, and no size is larger: make \
         the images, the batch or the layer smaller"
    )]
    TooLarge { name: String, shape: Shape, most: usize },
    #[error("two tensors are named `{name}`; give the second layer another name")]
    DuplicateName { name: String },
    #[error("layer `{layer}`: {op} has no gradient, but a parameter before it is to be trained")]
    NotDifferentiable { layer: String, op: &'static str },
    #[error(
        "layer `{layer}`: batch norm of {shape} has one value per channel, and in training it takes their mean and \
         variance over the batch: use more images (a larger batch, or larger parts of one), or larger ones, or freeze \
         the layer"
    )]
    OneValuePerChannel { layer: String, shape: Shape },
    #[error("{what} = {value} cannot be used: {rule}")]
    Attribute { what: String, value: String, rule: String },
}

impl GraphError {
    /// An attribute whose value breaks a rule.
    pub fn attribute(what: impl Into<String>, value: impl ToString, rule: impl Into<String>) -> Self {
        GraphError::Attribute { what: what.into(), value: value.to_string(), rule: rule.into() }
    }
}
