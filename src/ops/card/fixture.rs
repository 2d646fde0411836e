//! What a conformance case gives an op: its operands, under the names of the case's tensors, and its attributes.

use super::Attributes;
use crate::graph::{Graph, GraphError, Op, Value};
use std::collections::BTreeMap;

/// Where the op of a case is built.
pub struct Fixture<'a> {
    /// The graph of the case, which has its operands.
    pub graph: &'a mut Graph,
    /// By name: `in.x`, `param.weight`, `buf.running_mean`, ...
    pub operands: BTreeMap<String, Value>,
    /// Whether the case is of training.
    pub train: bool,
    /// The attributes of the case; one that is not asked for is an error.
    pub attributes: Attributes<'a>,
}

/// Why an op could not be built from a case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum FixtureError {
    #[error("the case has no tensor `{tensor}`")]
    MissingTensor { tensor: String },
    #[error("`{of}` needs the attribute `{attribute}`")]
    MissingAttribute { of: String, attribute: String },
    #[error("`{of}` has no attribute `{attribute}`; it knows {known}")]
    UnknownAttribute { of: String, attribute: String, known: String },
    #[error("`{of}` has the attribute `{attribute}` = {value}, which is not {expected}")]
    BadAttribute { of: String, attribute: String, value: String, expected: String },
    #[error("{what} cannot be run by this version")]
    Unsupported { what: String },
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl Fixture<'_> {
    /// Applies `op` to the operands of those names; a bias may be absent.
    ///
    /// # Errors
    /// When the case lacks another operand, or the op refuses them.
    pub fn apply(&mut self, op: impl Op, operands: &[&str]) -> Result<Value, FixtureError> {
        let mut inputs = Vec::with_capacity(operands.len());
        for name in operands {
            match self.optional(name) {
                Some(value) => inputs.push(value),
                None if *name == "param.bias" => {}
                None => return Err(FixtureError::MissingTensor { tensor: (*name).to_owned() }),
            }
        }
        Ok(self.graph.apply_one(op, &inputs)?)
    }

    /// A dimension of x; negative ones count from the last.
    ///
    /// # Errors
    /// When the attribute is missing and has no default, or x has no such dimension.
    pub fn dimension_of_x(&mut self, attribute: &'static str, default: Option<usize>) -> Result<usize, FixtureError> {
        let rank = self.rank("in.x")?;
        self.attributes.dimension(attribute, default, rank)
    }

    /// Number of dimensions.
    ///
    /// # Errors
    /// When the case lacks the operand.
    pub fn rank(&self, operand: &str) -> Result<usize, FixtureError> {
        Ok(self.graph.shape(self.operand(operand)?).len())
    }

    /// The operand of that name.
    ///
    /// # Errors
    /// When the case lacks the operand.
    pub fn operand(&self, name: &str) -> Result<Value, FixtureError> {
        self.optional(name).ok_or_else(|| FixtureError::MissingTensor { tensor: name.to_owned() })
    }

    /// The operand, if the case has it.
    pub fn optional(&self, name: &str) -> Option<Value> {
        self.operands.get(name).copied()
    }
}
