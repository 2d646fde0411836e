//! Accuracy, loss and confusion matrix of a model on a data set.

use super::graphs::{Batch, IMAGES, LABELS, LOGITS, evaluation_graph, step_numbers};
use super::{Checkpoint, TrainConfig, TrainError};
use crate::data::{Batches, Dataset, Normalization};
use crate::engine::{Engine, Executable};
use crate::graph::{Folded, Graph, STEP_NUMBERS};
use crate::tensor::{HostTensor, Shape};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// What an evaluation found; shares from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Evaluation {
    /// Mean cross-entropy.
    pub loss: f64,
    pub top1: f64,
    pub top5: f64,
    pub images: usize,
    /// Images by [true class][predicted class].
    pub confusion: Vec<Vec<usize>>,
}

/// An evaluation graph on an engine.
pub struct Evaluator {
    program: Executable,
    /// Parameters and running statistics of the model, before any folding.
    tensors: Vec<(String, Shape)>,
    folded: Option<Folded>,
    /// Names of what the program reads: not all, where a model has parts for training only.
    read: HashSet<String>,
    batch: Batch,
}

impl Evaluator {
    /// An evaluator that shares its tensors with what trains them on `engine`.
    ///
    /// # Errors
    /// When the model does not take such images, or the device cannot run it.
    pub fn new(config: &TrainConfig, batch: Batch, engine: &mut Engine) -> Result<Evaluator, TrainError> {
        let graph = evaluation_graph(config, batch)?;
        let program = engine.prepare(&graph)?;
        Ok(Evaluator { program, tensors: kept(&graph), folded: None, read: read(&graph), batch })
    }

    /// An evaluator of a checkpoint, read from `path`, with batch norms folded into convolutions.
    ///
    /// # Errors
    /// When the model does not take such images, the device cannot run it, or a tensor is missing or of
    /// another shape.
    pub fn of(
        checkpoint: &Checkpoint,
        path: &Path,
        batch: Batch,
        engine: &mut Engine,
    ) -> Result<Evaluator, TrainError> {
        let graph = evaluation_graph(&checkpoint.header.config, batch)?;
        let folded = graph.fold_batch_norm();
        let program = engine.prepare(&folded.graph)?;
        let read = read(&folded.graph);
        let evaluator = Evaluator { program, tensors: kept(&graph), folded: Some(folded), read, batch };
        evaluator.restore(engine, checkpoint, path)?;
        Ok(evaluator)
    }

    /// Sets parameters and running statistics to those of a checkpoint.
    ///
    /// # Errors
    /// When one is missing, or of another shape.
    pub fn restore(&self, engine: &mut Engine, checkpoint: &Checkpoint, path: &Path) -> Result<(), TrainError> {
        let mut tensors = BTreeMap::new();
        for (name, shape) in &self.tensors {
            tensors.insert(name.clone(), (shape.clone(), checkpoint.tensor(path, name, shape)?));
        }
        if let Some(folded) = &self.folded {
            folded.apply(&mut tensors);
        }
        for (name, (_, data)) in tensors.into_iter().filter(|(name, _)| self.read.contains(name)) {
            engine.set_state(&name, &HostTensor::F32(data))?;
        }
        Ok(())
    }

    /// Name and shape of the model's parameters and running statistics.
    pub fn tensors(&self) -> &[(String, Shape)] {
        &self.tensors
    }

    /// Logits `[N, classes]` of a batch of normalised images.
    ///
    /// # Errors
    /// When the device fails.
    pub fn logits(&mut self, engine: &mut Engine, images: Vec<f32>) -> Result<Vec<f32>, TrainError> {
        self.program.write(IMAGES, HostTensor::F32(images))?;
        self.program.write(LABELS, HostTensor::U32(vec![0; self.batch.shape[0]]))?;
        self.program.write(STEP_NUMBERS, HostTensor::U32(step_numbers(0, 0)))?;
        engine.run(&mut self.program)?;
        let pending = self.program.read_later(LOGITS)?;
        Ok(engine.finish(pending)?.f32().to_vec())
    }

    /// Runs the model on all of `dataset`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn evaluate(
        &mut self,
        engine: &mut Engine,
        dataset: &Dataset,
        normalization: &Normalization,
    ) -> Result<Evaluation, TrainError> {
        let [size, channels, height, width] = self.batch.shape;
        let classes = self.batch.classes;
        let batches = Batches::new(dataset, size, normalization)?.in_order();
        let mut result = Evaluation { confusion: vec![vec![0; classes]; classes], ..Evaluation::default() };
        let (mut loss, mut top1, mut top5) = (0.0, 0usize, 0usize);
        for index in 0..batches.count(false) {
            let mut images = vec![0.0; size * channels * height * width];
            let mut labels = vec![0; size];
            let rows = batches.fill(index, &mut images, &mut labels);
            let logits = self.logits(engine, images)?;
            for (row, &label) in logits.chunks_exact(classes).zip(&labels[..rows]) {
                let judged = judge(row, label as usize);
                loss += judged.loss;
                top1 += usize::from(judged.rank < 1);
                top5 += usize::from(judged.rank < 5);
                result.confusion[label as usize][judged.predicted] += 1;
            }
            result.images += rows;
        }
        let count = result.images.max(1) as f64;
        result.loss = loss / count;
        result.top1 = top1 as f64 / count;
        result.top5 = top5 as f64 / count;
        Ok(result)
    }
}

/// What a checkpoint holds of an evaluation graph.
fn kept(graph: &Graph) -> Vec<(String, Shape)> {
    let tensors = graph.tensors().iter().filter(|tensor| tensor.is_kept() && !tensor.name.starts_with("history."));
    tensors.map(|tensor| (tensor.name.clone(), tensor.spec.shape.clone())).collect()
}

/// The parameters and buffers that live nodes read.
fn read(graph: &Graph) -> HashSet<String> {
    let live = graph.nodes().iter().zip(graph.live_nodes()).filter_map(|(node, live)| live.then_some(node));
    let inputs = live.flat_map(|node| &node.inputs).map(|&input| graph.tensor(input));
    inputs.filter(|tensor| tensor.is_kept()).map(|tensor| tensor.name.clone()).collect()
}

struct Judged {
    loss: f64,
    /// Number of classes before the true one.
    rank: usize,
    predicted: usize,
}

/// Probabilities of a row of logits.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    log_softmax(logits).into_iter().map(f64::exp).collect()
}

/// z - log(sum over e^z): finite where a probability is too small for a number.
fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |largest, &z| largest.max(f64::from(z)));
    let sum: f64 = logits.iter().map(|&z| (f64::from(z) - largest).exp()).sum();
    logits.iter().map(|&z| f64::from(z) - largest - sum.ln()).collect()
}

fn judge(logits: &[f32], label: usize) -> Judged {
    let own = logits[label];
    let before = |(class, z): (usize, &f32)| *z > own || (*z == own && class < label);
    let rank = logits.iter().enumerate().filter(|&(class, z)| before((class, z))).count();
    let mut predicted = 0;
    for (class, z) in logits.iter().enumerate() {
        if *z > logits[predicted] {
            predicted = class;
        }
    }
    // A logit that is not a number is never right.
    let rank = if own.is_finite() { rank } else { logits.len() };
    Judged { loss: -log_softmax(logits)[label], rank, predicted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_of_a_class_without_any_chance_is_finite() {
        assert_eq!(judge(&[0.0, 1000.0], 0).loss, 1000.0);
        assert_eq!(judge(&[0.0, 0.0], 1).loss, 2f64.ln());
        assert_eq!(softmax(&[0.0, 1000.0]), [0.0, 1.0]);
    }
}
