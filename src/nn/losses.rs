//! Losses, as PyTorch's functions of their names: means of a batch.

use super::{Mode, Scope};
use crate::graph::{Graph, GraphError, Value};
use crate::ops::card::{Card, Chapter, Fixture, FixtureError};
use crate::ops::{BinaryCrossEntropy, BroadcastTo, CrossEntropy, Loss, SoftCrossEntropy};

impl Scope<'_> {
    /// A loss of logits `[N, C]` and targets `[N]`: `[1]`.
    ///
    /// # Errors
    /// When the shapes are others.
    pub fn loss(&mut self, logits: Value, target: Value, loss: Loss) -> Result<Value, GraphError> {
        self.apply(loss, &[logits, target])
    }

    /// As [`Scope::loss`], with a weight `[C]` for each class: each row counts that of its target times, and the mean is
    /// over these weights.
    ///
    /// # Errors
    /// When the shapes are others.
    pub fn weighted_loss(
        &mut self,
        logits: Value,
        target: Value,
        weight: Value,
        loss: Loss,
    ) -> Result<Value, GraphError> {
        self.apply(loss, &[logits, target, weight])
    }

    /// Cross-entropy of logits `[N, C]` and targets `[N]` of u32, perhaps with a weight `[C]` for each class: `[1]`.
    ///
    /// # Errors
    /// When the shapes are others, or the label smoothing is none.
    pub fn cross_entropy(
        &mut self,
        logits: Value,
        target: Value,
        weight: Option<Value>,
        loss: CrossEntropy,
    ) -> Result<Value, GraphError> {
        self.apply(loss, &[logits, target].into_iter().chain(weight).collect::<Vec<_>>())
    }

    /// Cross-entropy of logits `[N, C]` and probabilities `[N, C]`, perhaps with a weight `[C]` for each class: `[1]`.
    ///
    /// # Errors
    /// When the shapes are others, or the label smoothing is none.
    pub fn soft_cross_entropy(
        &mut self,
        logits: Value,
        target: Value,
        weight: Option<Value>,
        loss: SoftCrossEntropy,
    ) -> Result<Value, GraphError> {
        self.apply(loss, &[logits, target].into_iter().chain(weight).collect::<Vec<_>>())
    }

    /// Binary cross-entropy of probabilities x and targets of one shape, perhaps with weights that broadcast to it: the
    /// mean over all elements, without a dimension.
    ///
    /// # Errors
    /// When the shapes do not suit each other.
    pub fn bce(&mut self, x: Value, target: Value, weight: Option<Value>) -> Result<Value, GraphError> {
        let losses = self.apply(BinaryCrossEntropy::OfProbabilities, &[x, target])?;
        self.weighted_mean(losses, weight)
    }

    /// Binary cross-entropy of logits x and targets of one shape, perhaps with weights of the elements and of the positive
    /// parts, both of which broadcast to it: the mean over all elements, without a dimension.
    ///
    /// # Errors
    /// When the shapes do not suit each other.
    pub fn bce_with_logits(
        &mut self,
        x: Value,
        target: Value,
        weight: Option<Value>,
        pos_weight: Option<Value>,
    ) -> Result<Value, GraphError> {
        let mut inputs = vec![x, target];
        if let Some(positive) = pos_weight {
            let shape = self.shape(x).clone();
            inputs.push(match shape.ends_with(self.shape(positive)) {
                true => positive,
                false => self.apply(BroadcastTo { shape, factor: 1.0 }, &[positive])?,
            });
        }
        let losses = self.apply(BinaryCrossEntropy::OfLogits, &inputs)?;
        self.weighted_mean(losses, weight)
    }

    fn weighted_mean(&mut self, losses: Value, weight: Option<Value>) -> Result<Value, GraphError> {
        let losses = weight.map_or(Ok(losses), |weight| self.mul(losses, weight))?;
        let dims: Vec<usize> = (0..self.shape(losses).len()).collect();
        self.mean(losses, &dims, false)
    }
}

pub(super) static CARD: Card = Card::new(Chapter::Loss, &[]).conformance(&[
    ("bce", bce),
    ("binary_cross_entropy", bce),
    ("bce_with_logits", bce_with_logits),
    ("binary_cross_entropy_with_logits", bce_with_logits),
]);

/// The builder at the root, and x, target and weight.
fn given<'a>(given: &'a mut Fixture<'_>) -> Result<(Scope<'a>, [Value; 2], Option<Value>), FixtureError> {
    let inputs = [given.operand("in.logits")?, given.operand("in.target")?];
    let weight = given.optional("in.weight");
    let graph: &mut Graph = given.graph;
    Ok((Scope::new(graph, Mode::Train), inputs, weight))
}

fn bce(fixture: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let (mut scope, [x, target], weight) = given(fixture)?;
    Ok(one(&mut scope, |scope| scope.bce(x, target, weight))?)
}

fn bce_with_logits(fixture: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let positive = fixture.optional("in.pos_weight");
    let (mut scope, [x, target], weight) = given(fixture)?;
    Ok(one(&mut scope, |scope| scope.bce_with_logits(x, target, weight, positive))?)
}

/// A mean as a tensor of one element, as cases have losses.
fn one(scope: &mut Scope<'_>, loss: impl Fn(&mut Scope<'_>) -> Result<Value, GraphError>) -> Result<Value, GraphError> {
    let mean = loss(scope)?;
    scope.reshape(mean, [1])
}
