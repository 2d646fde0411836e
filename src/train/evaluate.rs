//! Accuracy, loss and confusion matrix of a model on a data set.

use super::evaluation::Tally;
use super::graphs::{Batch, IMAGES, LABELS, LOGITS, evaluation_graph, step_numbers};
use super::probabilities::{MeanProbabilities, log_probabilities};
use super::{Evaluation, TrainError};
use crate::activity::Stage;
use crate::checkpoint::Checkpoint;
use crate::data::{Batches, DataError, Dataset, Normalization, View};
use crate::engine::{Engine, Executable};
use crate::graph::Graph;
use crate::interop::{InteropError, finite};
use crate::nn::STEP_NUMBERS;
use crate::passes::Folded;
use crate::recipe::TrainConfig;
use crate::tensor::{HostTensor, Shape};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

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
        // A file that does not suit its model is told before memory is taken for it.
        for (name, shape) in kept(&graph) {
            checkpoint.shaped(path, &name, &shape)?;
        }
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
    /// When one is missing, of another shape, or not finite.
    pub fn restore(&self, engine: &mut Engine, checkpoint: &Checkpoint, path: &Path) -> Result<(), TrainError> {
        let mut tensors = BTreeMap::new();
        for (name, shape) in &self.tensors {
            tensors.insert(name.clone(), (shape.clone(), checkpoint.tensor(path, name, shape)?));
        }
        finite(&tensors).map_err(|reason| InteropError::NotFinite { path: path.to_owned(), reason })?;
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

    /// Runs the model on all of `dataset`; probabilities of an image are the mean over `views`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn evaluate(
        &mut self,
        engine: &mut Engine,
        dataset: &Dataset,
        normalization: &Normalization,
        views: &[View],
    ) -> Result<Evaluation, TrainError> {
        let mut tally = Tally::new(self.batch.classes);
        self.each_batch(engine, dataset, normalization, views, |p, labels| tally.add(&p, labels))?;
        Ok(tally.finish())
    }

    /// Log-probabilities `[images, classes]` of all of `dataset`; those of an image are of its mean probabilities
    /// over `views`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn log_probabilities(
        &mut self,
        engine: &mut Engine,
        dataset: &Dataset,
        normalization: &Normalization,
        views: &[View],
    ) -> Result<Vec<f64>, TrainError> {
        let mut all = Vec::with_capacity(dataset.len() * self.batch.classes);
        self.each_batch(engine, dataset, normalization, views, |p, _| all.extend(p))?;
        Ok(all)
    }

    /// Calls `take` with log-probabilities `[rows, classes]` and labels of each batch in turn.
    fn each_batch(
        &mut self,
        engine: &mut Engine,
        dataset: &Dataset,
        normalization: &Normalization,
        views: &[View],
        mut take: impl FnMut(Vec<f64>, &[u32]),
    ) -> Result<(), TrainError> {
        let [size, channels, height, width] = self.batch.shape;
        let classes = self.batch.classes;
        let pass = |&view| Ok(Batches::new(dataset, size, normalization)?.seen(view));
        let passes: Vec<Batches<'_>> = views.iter().map(pass).collect::<Result<_, DataError>>()?;
        let mut labels = vec![0; size];
        let count = passes.first().map_or(0, |pass| pass.count(false));
        let testing = engine.activity().enter(Stage::Testing, count as u64);
        for index in 0..count {
            let rows = passes[0].indices(index).len();
            let mut mean = MeanProbabilities::new(rows, classes);
            for pass in &passes {
                let mut images = vec![0.0; size * channels * height * width];
                pass.fill(index, &mut images, &mut labels);
                let logits = self.logits(engine, images)?;
                mean.add(&log_probabilities(&logits[..rows * classes], classes));
            }
            take(mean.log_probabilities(), &labels[..rows]);
            testing.advance();
        }
        Ok(())
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
