//! The average of the weights that a run keeps: what is evaluated, and how a checkpoint holds both.
//!
//! A checkpoint has the average under the model's names: whoever reads it, here or in PyTorch, gets what was measured.
//! What training goes on with lies beside it, as the optimizer's state does, under `optimizer.raw.NAME`.

use super::feed::Feed;
use super::graphs::{Batch, STATISTICS_MEAN, STATISTICS_SHARE, StatisticsGraph, statistics_graph, step_numbers};
use super::{Evaluator, Resolved, TrainError};
use crate::activity::Stage;
use crate::checkpoint::{Checkpoint, Header};
use crate::data::{Batches, Dataset};
use crate::nn::STEP_NUMBERS;
use crate::optim::{Attached, Averaging};
use crate::recipe::TrainConfig;
use crate::session::{Device, Program, Session, Tensors};
use crate::tensor::Shape;
use std::collections::BTreeMap;
use std::path::Path;

/// Before the name of a tensor in a checkpoint: that of the weights which are trained, where an average stands under the
/// name itself.
const RAW: &str = "optimizer.raw.";

/// The model with the average in the place of its weights.
pub(super) struct Averaged {
    /// Where it is evaluated.
    session: Session,
    /// The average of each parameter that has one, by name.
    averages: BTreeMap<String, String>,
    /// Names in a checkpoint of the tensors that are trained, where they are others there.
    renamed: BTreeMap<String, String>,
    statistics: Option<Statistics>,
}

/// A pass over the training images for the statistics of batch norm under the average.
struct Statistics {
    program: Program,
    /// For an epoch's last run, where that has fewer images.
    short: Option<Program>,
    /// Running statistics, and the names of their means over the pass.
    means: Vec<(String, Shape)>,
    /// The step after which the first pass was due.
    first: u64,
    seed: u64,
}

impl Averaged {
    /// What keeps the average that `config` asks for, of batches that are trained and tested, with its evaluation in a session
    /// of its own; none where it asks for none.
    ///
    /// # Errors
    /// When the device cannot run it.
    pub(super) fn new(
        config: &TrainConfig,
        [trained, tested]: [Batch; 2],
        resolved: Resolved,
        attached: &Attached,
        device: &Device,
    ) -> Result<Option<(Averaged, Evaluator)>, TrainError> {
        let Some(average) = config.average else { return Ok(None) };
        let session = Session::new(device, config.seed);
        let [evaluation] = session.prepare([&Evaluator::graph(config, tested)?])?;
        let evaluator = Evaluator::sharing(&session, config, tested, evaluation)?;
        let averages: BTreeMap<String, String> = attached.averages.iter().cloned().collect();
        let statistics = match average.resolve(resolved.steps_per_epoch, resolved.total_steps) {
            // Those of an EMA are averaged as the weights are, or follow these closely.
            Averaging::Ema { .. } | Averaging::Lookahead { .. } => None,
            Averaging::Swa { start, .. } => Statistics::new(&session, config, trained, resolved, start)?,
        };
        let means = statistics.iter().flat_map(|statistics| &statistics.means).map(|(name, _)| name);
        let raw = averages.keys().chain(means).map(|name| (name.clone(), format!("{RAW}{name}")));
        let own = averages.iter().map(|(parameter, average)| (average.clone(), parameter.clone()));
        let renamed = raw.chain(own).collect();
        Ok(Some((Averaged { session, averages, renamed, statistics }, evaluator)))
    }

    /// Lets the average begin with the weights in `training`, whose tensors are `saved`.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn begin(&self, training: &Session, saved: &BTreeMap<String, Shape>) -> Result<(), TrainError> {
        let weights = training.export(saved.iter().filter(|(name, _)| self.averages.contains_key(*name)))?;
        let begun = weights.into_iter().map(|(name, weights)| (self.source(&name).clone(), weights));
        Ok(training.import(&begun.collect())?)
    }

    /// Puts the average that `training` has after an epoch, `header.progress.step` steps in, in place for its evaluation.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn settle(
        &mut self,
        training: &Session,
        saved: &BTreeMap<String, Shape>,
        train: &Dataset,
        header: &Header,
        resolved: Resolved,
    ) -> Result<(), TrainError> {
        let wanted = saved.iter().filter(|(name, _)| self.session.has(name));
        let wanted: Vec<(&String, &String, &Shape)> =
            wanted.map(|(name, shape)| (name, self.source(name), shape)).collect();
        let mut now = training.export(wanted.iter().map(|&(_, source, shape)| (source, shape)))?;
        let named = wanted.iter().filter_map(|&(name, source, _)| Some((name.clone(), now.remove(source)?)));
        self.session.import(&named.collect())?;
        match &mut self.statistics {
            Some(statistics) if statistics.is_due(header.progress.step) => {
                statistics.pass(&self.session, train, header, resolved)
            }
            _ => Ok(()),
        }
    }

    /// The tensor of the training session that is evaluated under `name`.
    fn source<'a>(&'a self, name: &'a String) -> &'a String {
        self.averages.get(name).unwrap_or(name)
    }

    /// The tensors of a checkpoint after `step` steps, of all that the training session has.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn for_checkpoint(&self, tensors: Tensors, step: u64) -> Result<Tensors, TrainError> {
        let mut held: Tensors =
            tensors.into_iter().map(|(name, tensor)| (self.name_in_checkpoint(&name).clone(), tensor)).collect();
        let Some(statistics) = &self.statistics else { return Ok(held) };
        if statistics.is_due(step) {
            // Within an epoch, those after the epoch before.
            held.extend(self.session.export(statistics.means.iter().map(|(name, shape)| (name, shape)))?);
        } else {
            let raw = |name: &String| held.get(&format!("{RAW}{name}")).cloned();
            let own = statistics.means.iter().filter_map(|(name, _)| Some((name.clone(), raw(name)?)));
            let own: Tensors = own.collect();
            held.extend(own);
        }
        Ok(held)
    }

    /// Under which name a checkpoint has a tensor of the training session.
    pub(super) fn name_in_checkpoint<'a>(&'a self, name: &'a String) -> &'a String {
        self.renamed.get(name).unwrap_or(name)
    }

    /// Goes on from a checkpoint, read from `path`.
    ///
    /// # Errors
    /// When one of the tensors is missing or has another shape, or the device fails.
    pub(super) fn restore(
        &self,
        saved: &BTreeMap<String, Shape>,
        checkpoint: &Checkpoint,
        path: &Path,
    ) -> Result<(), TrainError> {
        for (name, shape) in saved.iter().filter(|(name, _)| self.session.has(name)) {
            self.session.set(name, checkpoint.shaped(path, name, shape)?)?;
        }
        Ok(())
    }
}

impl Statistics {
    /// None where the model has no batch norm that is trained.
    fn new(
        session: &Session,
        config: &TrainConfig,
        batch: Batch,
        resolved: Resolved,
        first: u64,
    ) -> Result<Option<Statistics>, TrainError> {
        let Some(StatisticsGraph { graph, statistics }) = statistics_graph(config, batch)? else { return Ok(None) };
        let [program] = session.prepare([&graph])?;
        let mut short = None;
        if let Some(images) = resolved.short_run() {
            let mut batch = batch;
            batch.shape[0] = images;
            if let Some(StatisticsGraph { graph, .. }) = statistics_graph(config, batch)? {
                short = Some(session.prepare_beside(&graph, &program)?);
            }
        }
        Ok(Some(Statistics { program, short, means: statistics, first, seed: config.seed }))
    }

    /// Whether weights are in the mean after so many steps.
    fn is_due(&self, steps: u64) -> bool {
        steps > self.first
    }

    /// Sets the running statistics to the mean of those of the last epoch's batches, each counted alike, as
    /// `torch.optim.swa_utils.update_bn` does.
    fn pass(
        &mut self,
        session: &Session,
        train: &Dataset,
        header: &Header,
        resolved: Resolved,
    ) -> Result<(), TrainError> {
        let epoch = (header.progress.step - 1) / resolved.steps_per_epoch;
        // All of its images, also where the run ended within it.
        let steps = epoch * resolved.steps_per_epoch..(epoch + 1) * resolved.steps_per_epoch;
        let first_run = steps.start * resolved.parts;
        let runs = steps.start * resolved.parts..resolved.runs(steps.end - 1).end;
        let size = resolved.part();
        let batches = Batches::new(train, size, &header.normalization)?
            .sampled(header.config.sampler, self.seed, epoch)
            .augmented(&header.config.augmentations()?)?;
        let activity = session.device().activity().clone();
        let testing = activity.enter(Stage::Testing, runs.end - runs.start);
        for run in runs {
            let index = run - first_run;
            let batch = batches.pack(index as usize)?;
            let program = match &mut self.short {
                Some(short) if batch.labels.len() < size => short,
                _ => &mut self.program,
            };
            Feed::of(program)?.write(program, &batch)?;
            program.write(program.input(STATISTICS_SHARE)?, &[1.0 / (index + 1) as f32])?;
            if let Ok(numbers) = program.input(STEP_NUMBERS) {
                program.write(numbers, &step_numbers(self.seed, run))?;
            }
            program.run()?;
            testing.advance();
        }
        let means: Vec<(String, &Shape)> =
            self.means.iter().map(|(name, shape)| (format!("{STATISTICS_MEAN}{name}"), shape)).collect();
        let means = session.export(means.iter().map(|(name, shape)| (name, *shape)))?;
        let named = means.into_iter().map(|(name, mean)| (name[STATISTICS_MEAN.len()..].to_owned(), mean));
        Ok(session.import(&named.collect())?)
    }
}

/// What a person should know of the average of a run of so many epochs.
pub(super) fn note(config: &TrainConfig, resolved: Resolved) -> Option<String> {
    let average = config.average?;
    // An epoch that the run ends within has no part in it.
    let epochs = (resolved.total_steps / resolved.steps_per_epoch.max(1)).max(1);
    let when = average.first_epoch(epochs).map_or(String::new(), |first| match first == epochs {
        true => format!(", of the weights after epoch {first} alone"),
        false => format!(", of the weights after epochs {first} to {epochs}"),
    });
    Some(format!("tests and checkpoints are of the average `{average}` of the weights{when}"))
}
