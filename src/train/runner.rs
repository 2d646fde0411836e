//! What a run holds on its device: the graphs of a step and of an evaluation, ready to run.

use super::graphs::{Batch, IMAGES, LABELS, METRICS, PartGraphs, part_graphs, step_numbers, training_graph};
use super::{Evaluator, Resolved, TrainError, init, init_classes};
use crate::checkpoint::Header;
use crate::data::Splits;
use crate::engine::{Engine, Executable, Pending};
use crate::graph::Graph;
use crate::nn::STEP_NUMBERS;
use crate::optim::{ACCUMULATED, Attached, PART_SHARE};
use crate::recipe::TrainConfig;
use crate::tensor::{HostTensor, Shape};
use std::collections::BTreeMap;

/// What runs a step and an evaluation.
pub(super) struct Runner {
    pub engine: Engine,
    /// A step; where a batch is taken in parts, one part of it.
    pub program: Executable,
    /// The same for an epoch's last run, where that has fewer images.
    pub short: Option<Executable>,
    /// The update after the last part.
    pub update: Option<Executable>,
    pub attached: Attached,
    pub evaluator: Evaluator,
    /// How many parameters are trained, and of how many.
    pub parameters: String,
    /// Names and shapes of the tensors that a checkpoint holds.
    pub saved: BTreeMap<String, Shape>,
    batch: Batch,
    /// Runs of a step.
    parts: u64,
    /// Whether the last run was a short one.
    ran_short: bool,
    seed: u64,
}

impl Runner {
    /// # Errors
    /// When the model does not take such images, or the device cannot run it.
    pub fn new(
        config: &TrainConfig,
        splits: &Splits,
        resolved: Resolved,
        mut engine: Engine,
    ) -> Result<Runner, TrainError> {
        let train = &splits.train;
        let shape = [resolved.part(), train.channels, train.height, train.width];
        let batch = Batch { shape, classes: train.classes.len() };
        let (graph, update, attached) = match resolved.parts {
            1 => {
                let (graph, attached) = training_graph(config, batch)?;
                (graph, None, attached)
            }
            _ => {
                let PartGraphs { part, update, attached } = part_graphs(config, batch)?;
                (part, Some(update), attached)
            }
        };
        init::check(config, &graph, batch)?;
        let saved = [Some(&graph), update.as_ref()].into_iter().flatten().flat_map(saved_tensors).collect();
        let update = update.map(|graph| engine.prepare(&graph)).transpose()?;
        let program = engine.prepare(&graph)?;
        let short = resolved.short_run().map(|images| {
            let mut batch = batch;
            batch.shape[0] = images;
            let graph = match resolved.parts {
                1 => training_graph(config, batch)?.0,
                _ => part_graphs(config, batch)?.part,
            };
            Ok::<_, TrainError>(engine.prepare_beside(&graph, &program)?)
        });
        let short = short.transpose()?;
        let evaluator = Evaluator::new(config, batch, &mut engine)?;
        let parameters = graph.parameters_text();
        let Resolved { parts, .. } = resolved;
        let seed = config.seed;
        let ran_short = false;
        Ok(Runner {
            engine,
            program,
            short,
            ran_short,
            update,
            attached,
            evaluator,
            parameters,
            saved,
            batch,
            parts,
            seed,
        })
    }

    /// Takes over the weights that the run starts from, with their classes in the order of the data's, and says
    /// how images are normalised. Gives what a person should know of it.
    ///
    /// # Errors
    /// When the file of weights cannot be read, or does not suit the model.
    pub fn initialise(&mut self, config: &TrainConfig, header: &mut Header) -> Result<Vec<String>, TrainError> {
        let tensors = self.evaluator.tensors();
        let start = init::initialise(&mut self.engine, config, tensors, self.batch, &header.normalization)?;
        header.normalization = start.normalization;
        let note = init_classes::arrange(&mut self.engine, config, &header.classes, self.batch)?;
        Ok(start.notes.into_iter().chain(note).collect())
    }

    /// Submits run `run`, counted as `step * parts + part`: a step, or a part of it, on these images, of which there are
    /// as many as in the other runs, or as in the short one.
    /// `update` are the inputs of the step's update, from [`Attached::inputs`].
    ///
    /// # Errors
    /// When the device fails.
    pub fn run_part(
        &mut self,
        run: u64,
        images: &[f32],
        labels: &[u32],
        update: &[(&str, Vec<f32>)],
    ) -> Result<(), TrainError> {
        let rows = labels.len();
        let program = match &mut self.short {
            Some(short) if rows < self.batch.shape[0] => {
                self.ran_short = true;
                short
            }
            _ => {
                self.ran_short = false;
                &mut self.program
            }
        };
        program.write(IMAGES, HostTensor::F32(images.to_vec()))?;
        program.write(LABELS, HostTensor::U32(labels.to_vec()))?;
        program.write(STEP_NUMBERS, HostTensor::U32(step_numbers(self.seed, run)))?;
        match self.update {
            None => write_all(program, update)?,
            Some(_) => {
                // The share that these images have in those of the step so far.
                let before = (run % self.parts) as usize * self.batch.shape[0];
                write_all(program, &[(PART_SHARE, vec![rows as f32 / (before + rows) as f32])])?;
            }
        }
        Ok(self.engine.run(program)?)
    }

    /// Submits the update after the last part of a step, where it is a program of its own.
    ///
    /// # Errors
    /// When the device fails.
    pub fn run_update(&mut self, inputs: &[(&str, Vec<f32>)]) -> Result<(), TrainError> {
        if let Some(update) = &mut self.update {
            write_all(update, inputs)?;
            self.engine.run(update)?;
        }
        Ok(())
    }

    /// Begins to read the metrics of the last runs while the device goes on; the engine finishes it.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read_metrics(&self) -> Result<Pending, TrainError> {
        let program = self.short.as_ref().filter(|_| self.ran_short).unwrap_or(&self.program);
        Ok(program.read_later(METRICS)?)
    }
}

fn saved_tensors(graph: &Graph) -> Vec<(String, Shape)> {
    // Metrics and the gradients of a part are of no use after the step.
    let is_saved = |name: &str| !name.starts_with("history.") && !name.starts_with(ACCUMULATED);
    let tensors = graph.parameters().chain(graph.buffers()).map(|value| graph.tensor(value));
    let saved = tensors.filter(|tensor| is_saved(&tensor.name));
    saved.map(|tensor| (tensor.name.clone(), tensor.spec.shape.clone())).collect()
}

/// Sets inputs by name.
///
/// # Errors
/// When the size of one is another.
fn write_all(program: &mut Executable, inputs: &[(&str, Vec<f32>)]) -> Result<(), TrainError> {
    for (name, values) in inputs {
        program.write(name, HostTensor::F32(values.clone()))?;
    }
    Ok(())
}
