//! What a run holds on its device: the graphs of a step and of an evaluation, ready to run.

#[cfg(blocking)]
use super::averaged::Averaged;
use super::graphs::{Batch, CLASS_WEIGHTS, PartGraphs, part_graphs, step_numbers, training_graph};
#[cfg(blocking)]
use super::init_classes;
use super::part::{Part, Then, update_inputs};
use super::start::class_weights;
use super::sums::Sums;
use super::{Evaluator, Resolved, TrainError, init, whiten};
use crate::checkpoint::{Checkpoint, Header};
use crate::data::{Dataset, PackedBatch, Splits};
use crate::graph::Graph;
use crate::optim::{Attached, LOSS_SCALE, NotFinite, SKIPPED_STEPS};
use crate::passes::SyncPoint;
use crate::recipe::{Precision, TrainConfig};
use crate::session::{Device, Input, Pending, Program, Session, SessionError, Tensors};
use crate::tensor::Shape;
use std::collections::BTreeMap;
use std::path::Path;

/// What runs a step and an evaluation.
pub(super) struct Runner {
    pub session: Session,
    /// A step; where a batch is taken in parts, one part of it.
    step: Part,
    /// The same for an epoch's last run, where that has fewer images.
    short: Option<Part>,
    /// The update after the last part.
    update: Option<Update>,
    pub attached: Attached,
    /// Of the average of the weights, where one is kept.
    pub evaluator: Evaluator,
    #[cfg(blocking)]
    averaged: Option<Averaged>,
    /// How many parameters are trained, and of how many.
    pub parameters: String,
    /// Names and shapes of the tensors that a checkpoint holds.
    saved: BTreeMap<String, Shape>,
    batch: Batch,
    /// Runs of a step.
    parts: u64,
    /// Whether the last run was a short one.
    ran_short: bool,
    seed: u64,
    /// How often each class counts, where they do not count alike.
    pub class_weights: Option<Vec<f32>>,
    /// How often the rows of the step's runs so far count together.
    weight_before: f64,
    /// What a shard leaves for the sums of a step, in the order in which it comes.
    pub sums: Vec<Sums>,
    /// Where the shards of a step meet, if their batch norms are those of the whole batch.
    pub points: Vec<SyncPoint>,
    /// The graph of a shard, where such shards run side by side: each but the first has a program of these.
    shard: Option<Graph>,
    beside: Vec<Part>,
    /// How often the loss of one classifier counts, with those of auxiliary ones.
    pub heads: f64,
}

/// What became of steps whose gradients are not finite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skips {
    /// Steps of the run so far that changed nothing.
    pub steps: u64,
    /// What the loss of the next step is multiplied by, where it is.
    pub loss_scale: Option<f64>,
}

/// An update that is a program of its own.
struct Update {
    program: Program,
    /// What [`Attached::inputs`] gives.
    inputs: Vec<Input>,
    /// Mean and variance of the batch at each point that has running statistics.
    running: Vec<Option<[Input; 2]>>,
}

impl Update {
    fn new(program: Program, attached: &Attached, points: &[SyncPoint]) -> Result<Update, TrainError> {
        let inputs = |[mean, variance]: &[String; 2]| Ok([program.input(mean)?, program.input(variance)?]);
        let of_point = |point: &SyncPoint| point.running.as_ref().map(|running| inputs(&running.inputs)).transpose();
        let running = points.iter().map(of_point).collect::<Result<_, SessionError>>()?;
        Ok(Update { inputs: update_inputs(&program, attached)?, running, program })
    }
}

impl Runner {
    /// # Errors
    /// When the model does not take such images, or the device cannot run it.
    #[cfg(blocking)]
    pub(super) fn new(
        config: &TrainConfig,
        splits: &Splits,
        resolved: Resolved,
        device: &Device,
    ) -> Result<Runner, TrainError> {
        pollster::block_on(Runner::new_async(config, splits, resolved, device))
    }

    /// As [`Runner::new`], where nothing may wait; no average of the weights is kept there.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub(super) async fn new_async(
        config: &TrainConfig,
        splits: &Splits,
        resolved: Resolved,
        device: &Device,
    ) -> Result<Runner, TrainError> {
        if let (Precision::F16, Some(gpu)) = (config.precision, device.gpu()) {
            gpu.expect_half().map_err(SessionError::from)?;
        }
        let train = &splits.train;
        let of = |[channels, height, width]: [usize; 3]| Batch {
            shape: [resolved.part(), channels, height, width],
            classes: train.classes.len(),
        };
        let (batch, tested) = (of(config.trained_shape(train)), of(splits.test.shape()));
        let (graph, update, mut attached, buckets, points) = match resolved.parts {
            1 => {
                let (graph, attached) = training_graph(config, batch)?;
                (graph, None, attached, Vec::new(), Vec::new())
            }
            _ => {
                let PartGraphs { part, update, attached, buckets, points } = part_graphs(config, batch)?;
                (part, Some(update), attached, buckets, points)
            }
        };
        let sums = if config.shard_count() > 1 { Sums::of_shard(&graph, buckets, &points) } else { Vec::new() };
        init::check(config, &graph, batch)?;
        init::expect_one_model(config, &graph, tested)?;
        let saved = [Some(&graph), update.as_ref()].into_iter().flatten().flat_map(saved_tensors).collect();
        let session = Session::new(device, config.seed);
        attached.config.averaging =
            config.average.map(|average| average.resolve(resolved.steps_per_epoch, resolved.total_steps));
        #[cfg(blocking)]
        let averaged = Averaged::new(config, [batch, tested], resolved, &attached, device)?;
        #[cfg(not(blocking))]
        let averaged: Option<((), Evaluator)> = None;
        // An average is evaluated where its tensors are.
        let evaluation = match averaged {
            Some(_) => None,
            None => Some(Evaluator::graph(config, tested)?),
        };
        let graphs: Vec<&Graph> = [&graph].into_iter().chain(&update).chain(&evaluation).collect();
        let class_weights = class_weights(config, train)?;
        let mut programs = session.prepare_async(&graphs).await?.into_iter();
        if let Some(weights) = &class_weights {
            session.set(CLASS_WEIGHTS, weights)?;
        }
        let mut next = || programs.next().unwrap_or_else(|| unreachable!("there is a program for each graph"));
        let (step, update) = (next(), update.map(|_| next()));
        let update = update.map(|program| Update::new(program, &attached, &points)).transpose()?;
        let own_update = update.is_none().then_some(&attached);
        #[cfg_attr(not(blocking), expect(unused_variables, reason = "none is kept"))]
        let (averaged, evaluator) = match averaged {
            Some((averaged, evaluator)) => (Some(averaged), evaluator),
            None => (None, Evaluator::sharing(&session, config, tested, next())?),
        };
        let short = match resolved.short_run() {
            Some(images) => {
                let mut batch = batch;
                batch.shape[0] = images;
                let graph = match resolved.parts {
                    1 => training_graph(config, batch)?.0,
                    _ => part_graphs(config, batch)?.part,
                };
                let program = match points.is_empty() {
                    true => session.prepare_beside_async(&graph, &step).await?,
                    // It runs while others of the step do.
                    false => session.prepare_async(&[&graph]).await?.swap_remove(0),
                };
                Some(Part::new(program, own_update, &sums, &points)?)
            }
            None => None,
        };
        let step = Part::new(step, own_update, &sums, &points)?;
        let parameters = graph.parameters_text();
        let heads = 1.0 + graph.auxiliaries().iter().map(|&(_, weight)| f64::from(weight)).sum::<f64>();
        let Resolved { parts, .. } = resolved;
        let seed = config.seed;
        let ran_short = false;
        Ok(Runner {
            session,
            step,
            short,
            ran_short,
            update,
            attached,
            evaluator,
            #[cfg(blocking)]
            averaged,
            parameters,
            saved,
            batch,
            parts,
            seed,
            class_weights,
            weight_before: 0.0,
            sums,
            shard: (!points.is_empty()).then_some(graph),
            points,
            beside: Vec::new(),
            heads,
        })
    }

    /// Takes over the weights that the run starts from, with their classes in the order of the data's, and says
    /// how images are normalised. Gives what a person should know of it.
    ///
    /// # Errors
    /// When the file of weights cannot be read, or does not suit the model.
    #[cfg(blocking)]
    pub(super) fn initialise(
        &mut self,
        config: &TrainConfig,
        header: &mut Header,
        train: &Dataset,
    ) -> Result<Vec<String>, TrainError> {
        let tensors = self.evaluator.tensors();
        let start = init::initialise(&self.session, config, tensors, self.batch, &header.normalization)?;
        header.normalization = start.normalization;
        if let Some(layer) = &config.whiten {
            let (name, filters) = whiten::filters(layer, tensors, train, &header.normalization)?;
            self.session.set(&name, &filters)?;
        }
        let note = init_classes::arrange(&self.session, config, &header.classes, self.batch)?;
        if let Some(averaged) = &self.averaged {
            averaged.begin(&self.session, &self.saved)?;
        }
        Ok(start.notes.into_iter().chain(note).collect())
    }

    /// Goes on from a checkpoint, read from `path`.
    ///
    /// # Errors
    /// When one of its tensors is missing or has another shape, or the device fails.
    #[cfg(blocking)]
    pub(super) fn restore(&mut self, checkpoint: &Checkpoint, path: &Path) -> Result<(), TrainError> {
        for (name, shape) in &self.saved {
            let held = self.averaged.as_ref().map_or(name, |averaged| averaged.name_in_checkpoint(name));
            self.session.set(name, checkpoint.shaped(path, held, shape)?)?;
        }
        match &self.averaged {
            Some(averaged) => averaged.restore(&self.saved, checkpoint, path),
            None => Ok(()),
        }
    }

    /// What a checkpoint holds, where nothing may wait and no average is kept.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) async fn export_async(&self) -> Result<Tensors, TrainError> {
        Ok(self.session.export_async(&self.saved).await?)
    }

    /// What a checkpoint holds after `step` steps.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub(super) fn export(&self, step: u64) -> Result<Tensors, TrainError> {
        let tensors = self.session.export(&self.saved)?;
        match &self.averaged {
            Some(averaged) => averaged.for_checkpoint(tensors, step),
            None => Ok(tensors),
        }
    }

    /// Makes the evaluator ready after an epoch, `header.progress.step` steps in.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub(super) fn settle(&mut self, train: &Dataset, header: &Header, resolved: Resolved) -> Result<(), TrainError> {
        match &mut self.averaged {
            Some(averaged) => averaged.settle(&self.session, &self.saved, train, header, resolved),
            None => Ok(()),
        }
    }

    /// Submits run `run`, counted as `step * parts + part`: a step, or a part of it, on this batch, which has as many images
    /// as in the other runs, or as in the short one.
    /// `update` are the inputs of the step's update, from [`Attached::inputs`].
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub(super) fn run_part(
        &mut self,
        run: u64,
        batch: &PackedBatch,
        update: &[(&str, Vec<f32>)],
    ) -> Result<(), TrainError> {
        pollster::block_on(self.run_part_async(run, batch, update))
    }

    /// As [`Runner::run_part`], where nothing may wait.
    ///
    /// # Errors
    /// As [`Runner::run_part`].
    pub(super) async fn run_part_async(
        &mut self,
        run: u64,
        batch: &PackedBatch,
        update: &[(&str, Vec<f32>)],
    ) -> Result<(), TrainError> {
        Ok(self.prepare_run(0, run, batch, update)?.program.run_async().await?)
    }

    /// Submits a shard; gives what it leaves for each of the [sums](Runner::sums), on its way, the first with the metrics of
    /// the last runs after it.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub(super) fn run_shard(&mut self, run: u64, batch: &PackedBatch) -> Result<Vec<Pending>, TrainError> {
        let sums = self.sums.len();
        let part = self.prepare_run(0, run, batch, &[])?;
        let given = (0..sums).map(|place| part.run_to_sums(place)).collect::<Result<_, _>>()?;
        part.program.run()?;
        Ok(given)
    }

    /// Gives a shard that runs beside others what goes in: `place` counts those of this member. Says whether it is a short one.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub(super) fn begin_shard(
        &mut self,
        place: usize,
        run: u64,
        batch: &PackedBatch,
        share: f32,
    ) -> Result<bool, TrainError> {
        while self.beside.len() < place
            && let Some(graph) = &self.shard
        {
            let [program] = self.session.prepare([graph])?;
            self.beside.push(Part::new(program, None, &self.sums, &self.points)?);
        }
        let part = self.prepare_run(place, run, batch, &[])?;
        if let Then::Shard(Some(input)) = part.then {
            part.program.write(input, &[share])?;
        }
        Ok(self.ran_short)
    }

    /// A shard that was [begun](Runner::begin_shard).
    #[cfg(blocking)]
    pub(super) fn shard(&mut self, place: usize, is_short: bool) -> &mut Part {
        match (&mut self.short, place) {
            (Some(short), _) if is_short => short,
            (_, 0) => &mut self.step,
            _ => &mut self.beside[place - 1],
        }
    }

    /// Gives the update mean and variance of the batch at a point.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub(super) fn set_running(&mut self, point: usize, values: &[Vec<f32>; 2]) -> Result<(), TrainError> {
        if let Some(Update { program, running, .. }) = &mut self.update
            && let Some(Some(inputs)) = running.get(point)
        {
            inputs.iter().zip(values).try_for_each(|(&input, values)| program.write(input, values))?;
        }
        Ok(())
    }

    /// Gives the program of a run what goes in.
    fn prepare_run(
        &mut self,
        place: usize,
        run: u64,
        batch: &PackedBatch,
        update: &[(&str, Vec<f32>)],
    ) -> Result<&mut Part, TrainError> {
        let rows = batch.labels.len();
        self.ran_short = self.short.is_some() && rows < self.batch.shape[0];
        let part = match &mut self.short {
            Some(short) if self.ran_short => short,
            _ if place == 0 => &mut self.step,
            _ => &mut self.beside[place - 1],
        };
        let Part { program, images, targets, numbers, then, .. } = &mut *part;
        images.write(program, batch)?;
        targets.write(program, batch)?;
        program.write(*numbers, &step_numbers(self.seed, run))?;
        match then {
            Then::Update(inputs) => write_all(program, inputs, update)?,
            Then::Share(share) => {
                let before = (run % self.parts) as usize * self.batch.shape[0];
                let mut of_part = rows as f64;
                let mut together = (before + rows) as f64;
                if let Some(weights) = &self.class_weights {
                    of_part = batch.labels.iter().map(|&label| f64::from(weights[label as usize])).sum();
                    self.weight_before = if before == 0 { of_part } else { self.weight_before + of_part };
                    together = self.weight_before;
                }
                // Of parts that all count 0 times, each takes the place of those before it.
                let of_parts = if together > 0.0 { (of_part / together) as f32 } else { 1.0 };
                program.write(*share, &[of_parts])?;
            }
            Then::Shard(_) => {}
        }
        Ok(part)
    }

    /// Submits the update after the last part of a step, where it is a program of its own.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub(super) fn run_update(&mut self, values: &[(&str, Vec<f32>)]) -> Result<(), TrainError> {
        pollster::block_on(self.run_update_async(values))
    }

    /// As [`Runner::run_update`], where nothing may wait.
    ///
    /// # Errors
    /// As [`Runner::run_update`].
    pub(super) async fn run_update_async(&mut self, values: &[(&str, Vec<f32>)]) -> Result<(), TrainError> {
        if let Some(Update { program, inputs, .. }) = &mut self.update {
            write_all(program, inputs, values)?;
            program.run_async().await?;
        }
        Ok(())
    }

    /// How many steps were skipped, where any may be; it waits for the device.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub(super) fn skips(&self) -> Result<Option<Skips>, TrainError> {
        let number = |name| Ok::<_, TrainError>(self.session.get(name)?.first().copied().unwrap_or_default());
        match self.attached.config.not_finite {
            NotFinite::Applied => Ok(None),
            NotFinite::Skipped => Ok(Some(Skips { steps: number(SKIPPED_STEPS)? as u64, loss_scale: None })),
            NotFinite::Scaled => Ok(Some(Skips {
                steps: number(SKIPPED_STEPS)? as u64,
                loss_scale: Some(f64::from(number(LOSS_SCALE)?)),
            })),
        }
    }

    /// Begins to read the metrics of the last runs while the device goes on.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn read_metrics(&self) -> Result<Pending, TrainError> {
        let part = self.short.as_ref().filter(|_| self.ran_short).unwrap_or(&self.step);
        Ok(part.program.read(part.metrics)?)
    }

    /// Device memory in words, where there is a device.
    pub(super) fn memory(&self) -> String {
        let memory = |program: &Program| program.memory().map(|memory| memory.to_string());
        let step = memory(&self.step.program).map(|memory| format!(", device memory {memory}"));
        let update =
            self.update.as_ref().and_then(|update| memory(&update.program)).map(|memory| format!("; update {memory}"));
        step.into_iter().chain(update).collect()
    }
}

fn saved_tensors(graph: &Graph) -> Vec<(String, Shape)> {
    let saved = graph.tensors().iter().filter(|tensor| tensor.is_saved());
    saved.map(|tensor| (tensor.name.clone(), tensor.spec.shape.clone())).collect()
}

/// Sets the inputs of an update.
///
/// # Errors
/// When the size of one is another.
fn write_all(program: &mut Program, inputs: &[Input], values: &[(&str, Vec<f32>)]) -> Result<(), TrainError> {
    for (&input, (_, values)) in inputs.iter().zip(values) {
        program.write(input, values)?;
    }
    Ok(())
}
