//! An op's card: what is told of it, and what is tried with it, beside the code that makes it true.
//!
//! docs/ops.md, `tilewright check`, `tilewright verify` and the tests of gradients read the cards and name no op.

mod attributes;
mod case;
mod fixture;

pub use attributes::Attributes;
pub use case::{Case, Tolerance};
pub(crate) use case::{FOLDING, INFINITY, NAN, Prepared, binary, positive, set, unary};
pub use fixture::{Fixture, FixtureError};

use crate::graph::Value;

/// An op with the ops of its backward pass.
#[derive(Clone, Copy)]
pub struct Card {
    /// Where docs/ops.md tells of it.
    pub chapter: Chapter,
    /// Its ops' rows there.
    pub ops: &'static [Entry],
    /// What `tilewright check` runs: awkward shapes, and numbers at the edge.
    pub cases: fn() -> Vec<Case>,
    /// Small cases at points where the function is smooth: their gradients are held against finite differences.
    pub slopes: fn() -> Vec<Case>,
    /// Names that it has in conformance cases.
    pub conformance: &'static [(&'static str, Reader)],
}

/// Builds an op of what a conformance case gives, and gives its output.
pub type Reader = fn(&mut Fixture<'_>) -> Result<Value, FixtureError>;

impl Card {
    /// One with the rows of its ops, of which nothing is tried yet.
    pub(crate) const fn new(chapter: Chapter, ops: &'static [Entry]) -> Self {
        Card { chapter, ops, cases: Vec::new, slopes: Vec::new, conformance: &[] }
    }

    pub(crate) const fn cases(self, cases: fn() -> Vec<Case>) -> Self {
        Card { cases, ..self }
    }

    pub(crate) const fn slopes(self, slopes: fn() -> Vec<Case>) -> Self {
        Card { slopes, ..self }
    }

    pub(crate) const fn conformance(self, conformance: &'static [(&'static str, Reader)]) -> Self {
        Card { conformance, ..self }
    }
}

/// One row of docs/ops.md.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// [`Op::name`](crate::graph::Op::name).
    pub name: &'static str,
    /// Formula, or what it is.
    pub computes: &'static str,
    /// Shapes of inputs and outputs.
    pub shapes: &'static str,
    /// How its gradient is computed.
    pub gradient: &'static str,
    /// Paths under `shaders/` without the ending, of every variant; empty for views.
    pub shaders: &'static [&'static str],
    /// Floating point operations, a multiply-add counted as two.
    pub flops: &'static str,
}

/// What [`Entry::gradient`] says of backward ops, metrics and updates.
pub(crate) const NO_GRADIENT: &str = "none";
/// What it says of constants.
pub(crate) const NO_INPUT: &str = "no input";
/// Shapes of a function of each element.
pub(crate) const SAME: &str = "y has the shape of x";

impl Entry {
    /// Whether a gradient passes through the op.
    pub fn is_differentiable(&self) -> bool {
        !matches!(self.gradient, NO_GRADIENT | NO_INPUT)
    }
}

/// A heading of docs/ops.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chapter {
    /// Convolutions and linear layers.
    Convolution,
    /// Functions of one element.
    Activation,
    /// Functions of elements that stand at one place, sums and repetitions.
    Elementwise,
    /// What moves elements, or says their shape anew.
    Layout,
    /// Pooling.
    Pooling,
    /// Normalisation and regularisation.
    Normalisation,
    /// Softmax and matrix products.
    Softmax,
    /// Losses and metrics.
    Loss,
    /// Training images, from bytes on.
    Images,
    /// What changes parameters.
    Optimizer,
    /// What a device is measured with.
    Measurement,
}

impl Chapter {
    /// In the order of the page.
    pub const ALL: [Chapter; 11] = [
        Chapter::Convolution,
        Chapter::Activation,
        Chapter::Elementwise,
        Chapter::Layout,
        Chapter::Pooling,
        Chapter::Normalisation,
        Chapter::Softmax,
        Chapter::Loss,
        Chapter::Images,
        Chapter::Optimizer,
        Chapter::Measurement,
    ];

    /// The heading's text.
    pub fn title(self) -> &'static str {
        match self {
            Chapter::Convolution => "Convolution and linear layers",
            Chapter::Activation => "Activations",
            Chapter::Elementwise => "Elementwise, reductions and broadcasting",
            Chapter::Layout => "Shape and layout",
            Chapter::Pooling => "Pooling",
            Chapter::Normalisation => "Normalisation and regularisation",
            Chapter::Softmax => "Softmax and matrix products",
            Chapter::Loss => "Losses and metrics",
            Chapter::Images => "Training images",
            Chapter::Optimizer => "Optimizers",
            Chapter::Measurement => "Measurement",
        }
    }
}
