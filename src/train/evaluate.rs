//! Accuracy, loss and confusion matrix of a model on a data set.

use super::evaluation::Tally;
use super::feed::Feed;
use super::graphs::{Batch, LOGITS, measuring_graph};
use super::probabilities::{MeanProbabilities, log_probabilities};
use super::{Evaluation, TrainError};
use crate::activity::Stage;
use crate::checkpoint::Checkpoint;
use crate::data::{Batches, Dataset, Normalization, PackedBatch, View};
use crate::graph::Graph;
use crate::interop::{InteropError, finite};
use crate::ops::UnpackImages;
use crate::parallel::{Collective, block};
use crate::passes::Folded;
use crate::recipe::TrainConfig;
use crate::session::{Device, Output, Pending, Program, Session};
use crate::tensor::Shape;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::Path;

/// A model on a device, for what it says of images.
pub struct Evaluator {
    session: Session,
    program: Program,
    images: Feed,
    logits: Output,
    /// Parameters and running statistics of the model, before any folding.
    tensors: Vec<(String, Shape)>,
    folded: Option<Folded>,
    batch: Batch,
}

/// How far a pass over images has come that is made in parts.
pub struct Testing {
    tally: Tally,
    next: usize,
}

/// Batches that the device works on while the host reads the logits of the one before.
const IN_FLIGHT: usize = 2;

impl Evaluator {
    /// What an evaluator runs.
    pub(super) fn graph(config: &TrainConfig, batch: Batch) -> Result<Graph, TrainError> {
        measuring_graph(config, batch)
    }

    /// An evaluator that shares its tensors with what trains them in `session`, where `program` is its
    /// [graph](Evaluator::graph).
    pub(super) fn sharing(
        session: &Session,
        config: &TrainConfig,
        batch: Batch,
        program: Program,
    ) -> Result<Evaluator, TrainError> {
        let tensors = kept(&Evaluator::graph(config, batch)?);
        Evaluator::new(session.clone(), program, tensors, None, batch)
    }

    fn new(
        session: Session,
        program: Program,
        tensors: Vec<(String, Shape)>,
        folded: Option<Folded>,
        batch: Batch,
    ) -> Result<Evaluator, TrainError> {
        let (images, logits) = (Feed::of(&program)?, program.output(LOGITS)?);
        Ok(Evaluator { session, program, images, logits, tensors, folded, batch })
    }

    /// An evaluator of a checkpoint, read from `path`, with batch norms folded into convolutions.
    ///
    /// # Errors
    /// When the model does not take such images, the device cannot run it, or a tensor is missing or of
    /// another shape.
    #[cfg(blocking)]
    pub fn of(checkpoint: &Checkpoint, path: &Path, batch: Batch, device: &Device) -> Result<Evaluator, TrainError> {
        let graph = measuring_graph(&checkpoint.header.config, batch)?;
        pollster::block_on(Evaluator::on_its_own(checkpoint, path, batch, device, (&graph, graph.fold_batch_norm())))
    }

    /// As [`Evaluator::of`], with every layer as it was trained.
    ///
    /// # Errors
    /// As [`Evaluator::of`].
    #[cfg(blocking)]
    pub fn unfolded(
        checkpoint: &Checkpoint,
        path: &Path,
        batch: Batch,
        device: &Device,
    ) -> Result<Evaluator, TrainError> {
        let graph = measuring_graph(&checkpoint.header.config, batch)?;
        pollster::block_on(Evaluator::on_its_own(checkpoint, path, batch, device, (&graph, as_it_is(&graph))))
    }

    /// An evaluator of a model whose batch norms were folded before, as [`read_folded`](crate::interop::read_folded) gives it.
    ///
    /// # Errors
    /// As [`Evaluator::of`].
    pub async fn of_folded(
        checkpoint: &Checkpoint,
        path: &Path,
        batch: Batch,
        device: &Device,
    ) -> Result<Evaluator, TrainError> {
        let graph = measuring_graph(&checkpoint.header.config, batch)?.fold_batch_norm().graph;
        Evaluator::on_its_own(checkpoint, path, batch, device, (&graph, as_it_is(&graph))).await
    }

    /// Of a checkpoint that has the tensors of `graph`, which is run as `folded`.
    async fn on_its_own(
        checkpoint: &Checkpoint,
        path: &Path,
        batch: Batch,
        device: &Device,
        (graph, folded): (&Graph, Folded),
    ) -> Result<Evaluator, TrainError> {
        let tensors = kept(graph);
        // A file that does not suit its model is told before memory is taken for it.
        for (name, shape) in &tensors {
            checkpoint.shaped(path, name, shape)?;
        }
        let session = Session::new(device, checkpoint.header.config.seed);
        let program = session.prepare_async(&[&folded.graph]).await?.swap_remove(0);
        let evaluator = Evaluator::new(session, program, tensors, Some(folded), batch)?;
        evaluator.restore(checkpoint, path)?;
        Ok(evaluator)
    }

    /// Sets parameters and running statistics to those of a checkpoint.
    ///
    /// # Errors
    /// When one is missing, of another shape, or not finite.
    pub fn restore(&self, checkpoint: &Checkpoint, path: &Path) -> Result<(), TrainError> {
        let mut tensors = BTreeMap::new();
        for (name, shape) in &self.tensors {
            tensors.insert(name.clone(), (shape.clone(), checkpoint.tensor(path, name, shape)?));
        }
        finite(&tensors).map_err(|reason| InteropError::NotFinite { path: path.to_owned(), reason })?;
        if let Some(folded) = &self.folded {
            folded.apply(&mut tensors);
        }
        // Not all are read, where a model has parts for training only.
        tensors.retain(|name, _| self.session.has(name));
        Ok(self.session.import(&tensors)?)
    }

    /// Where the model's tensors are.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Name and shape of the model's parameters and running statistics.
    pub fn tensors(&self) -> &[(String, Shape)] {
        &self.tensors
    }

    /// Logits `[images, classes]` of the bytes of images `[images, C, H, W]`, no more than a batch has.
    ///
    /// # Errors
    /// When there are more, or the device fails.
    #[cfg(blocking)]
    pub fn logits(&mut self, images: &[u8], normalization: &Normalization) -> Result<Vec<f32>, TrainError> {
        pollster::block_on(self.logits_async(images, normalization))
    }

    /// As [`Evaluator::logits`], where nothing may wait.
    ///
    /// # Errors
    /// As [`Evaluator::logits`].
    pub async fn logits_async(&mut self, images: &[u8], normalization: &Normalization) -> Result<Vec<f32>, TrainError> {
        let batch = PackedBatch::of_bytes(images, self.batch.shape[1..].iter().product(), normalization);
        let rows = batch.labels.len();
        let mut logits = self.submit(batch).await?.arrive().await?.f32().to_vec();
        logits.truncate(rows * self.batch.classes);
        Ok(logits)
    }

    /// Runs the model on at most a batch; what is read has rows for a whole one.
    async fn submit(&mut self, mut batch: PackedBatch) -> Result<Pending, TrainError> {
        let [size, channels, height, width] = self.batch.shape;
        batch.words.resize(size * UnpackImages::words(channels * height * width), 0);
        self.images.write(&mut self.program, &batch)?;
        self.program.run_async().await?;
        Ok(self.program.read(self.logits)?)
    }

    /// A pass over images that is yet to begin.
    pub(super) fn begin_test(&self) -> Testing {
        Testing { tally: Tally::new(self.batch.classes), next: 0 }
    }

    /// Runs the model on the next `most` batches of `dataset`, where nothing may wait: what came of all, once they are through.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) async fn test_async(
        &mut self,
        testing: &mut Testing,
        dataset: &Dataset,
        normalization: &Normalization,
        most: usize,
    ) -> Result<Option<Evaluation>, TrainError> {
        let classes = self.batch.classes;
        let pass = Batches::new(dataset, self.batch.shape[0], normalization)?;
        let count = pass.count(false);
        for index in testing.next..count.min(testing.next.saturating_add(most)) {
            let batch = pass.pack(index)?;
            let labels = batch.labels.clone();
            let logits = self.submit(batch).await?.arrive().await?;
            testing.tally.add(&log_probabilities(&logits.f32()[..labels.len() * classes], classes), &labels);
            testing.next = index + 1;
        }
        Ok((testing.next >= count).then(|| testing.tally.clone().finish()))
    }

    /// Runs the model on all of `dataset`; probabilities of an image are the mean over `views`.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub fn evaluate(
        &mut self,
        dataset: &Dataset,
        normalization: &Normalization,
        views: &[View],
    ) -> Result<Evaluation, TrainError> {
        let mut tally = Tally::new(self.batch.classes);
        self.each_batch(dataset, normalization, views, |p, labels| tally.add(&p, labels))?;
        Ok(tally.finish())
    }

    /// As [`Evaluator::evaluate`], with the batches spread over the members of `group`. All find the same, to the last bit,
    /// as one alone.
    ///
    /// # Errors
    /// When the device fails, or another member.
    #[cfg(blocking)]
    pub(super) fn evaluate_in(
        &mut self,
        group: &dyn Collective,
        dataset: &Dataset,
        normalization: &Normalization,
        views: &[View],
    ) -> Result<Evaluation, TrainError> {
        if group.world() == 1 {
            return self.evaluate(dataset, normalization, views);
        }
        let (size, classes) = (self.batch.shape[0], self.batch.classes);
        let batches = block(dataset.len().div_ceil(size), group.rank(), group.world());
        let mut own: Vec<f64> = Vec::new();
        self.each_batch_of(batches, dataset, normalization, views, |p, _| own.extend(p))?;
        let mut all: Vec<f64> = Vec::with_capacity(dataset.len() * classes);
        for part in group.all_gather(bytemuck::cast_slice(&own))? {
            all.extend(bytemuck::pod_collect_to_vec::<u8, f64>(&part));
        }
        Ok(Evaluation::of(&all, &dataset.labels, classes))
    }

    /// Log-probabilities `[images, classes]` of all of `dataset`; those of an image are of its mean probabilities
    /// over `views`.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub fn log_probabilities(
        &mut self,
        dataset: &Dataset,
        normalization: &Normalization,
        views: &[View],
    ) -> Result<Vec<f64>, TrainError> {
        let mut all = Vec::with_capacity(dataset.len() * self.batch.classes);
        self.each_batch(dataset, normalization, views, |p, _| all.extend(p))?;
        Ok(all)
    }

    /// Calls `take` with log-probabilities `[rows, classes]` and labels of each batch in turn.
    #[cfg(blocking)]
    fn each_batch(
        &mut self,
        dataset: &Dataset,
        normalization: &Normalization,
        views: &[View],
        take: impl FnMut(Vec<f64>, &[u32]),
    ) -> Result<(), TrainError> {
        let batches = 0..dataset.len().div_ceil(self.batch.shape[0]);
        self.each_batch_of(batches, dataset, normalization, views, take)
    }

    /// As [`Evaluator::each_batch`], of some of the batches.
    #[cfg(blocking)]
    fn each_batch_of(
        &mut self,
        batches: Range<usize>,
        dataset: &Dataset,
        normalization: &Normalization,
        views: &[View],
        mut take: impl FnMut(Vec<f64>, &[u32]),
    ) -> Result<(), TrainError> {
        let [size, channels, height, width] = self.batch.shape;
        let classes = self.batch.classes;
        let pass = Batches::new(dataset, size, normalization)?;
        let count = batches.len();
        let activity = self.session.device().activity().clone();
        let testing = activity.enter(Stage::Testing, count as u64);
        let mut submitted = VecDeque::with_capacity(IN_FLIGHT);
        pass.ahead(batches, |ahead| {
            // Batches are submitted ahead of the one whose logits are read.
            for index in 0..count + IN_FLIGHT - 1 {
                if index < count {
                    let batch = ahead.next(|| true)?;
                    let of_view = |&view| pollster::block_on(self.submit(batch.seen(view, [channels, height, width])));
                    let pending: Vec<Pending> = views.iter().map(of_view).collect::<Result<_, _>>()?;
                    submitted.push_back((batch.labels, pending));
                }
                let Some((labels, pending)) = submitted.pop_front_if(|_| index + 1 >= IN_FLIGHT) else { continue };
                let mut mean = MeanProbabilities::new(labels.len(), classes);
                for pending in pending {
                    let logits = pending.wait()?;
                    mean.add(&log_probabilities(&logits.f32()[..labels.len() * classes], classes));
                }
                take(mean.log_probabilities(), &labels);
                testing.advance();
            }
            Ok(())
        })
    }
}

fn as_it_is(graph: &Graph) -> Folded {
    Folded { graph: graph.clone(), folds: Vec::new() }
}

/// What a checkpoint holds of an evaluation graph.
fn kept(graph: &Graph) -> Vec<(String, Shape)> {
    let tensors = graph.tensors().iter().filter(|tensor| tensor.is_saved());
    tensors.map(|tensor| (tensor.name.clone(), tensor.spec.shape.clone())).collect()
}
