//! What a run holds on its device: the graphs of a step and of an evaluation, ready to run.

use super::checkpoint::Header;
use super::graphs::{Batch, PartGraphs, part_graphs, training_graph};
use super::{Evaluator, Resolved, TrainConfig, TrainError, init};
use crate::data::Splits;
use crate::engine::{Engine, Executable};
use crate::graph::Graph;
use crate::optim::{ACCUMULATED, Attached};
use crate::tensor::{HostTensor, Shape};
use std::collections::BTreeMap;

/// What runs a step and an evaluation.
pub(super) struct Runner {
    pub engine: Engine,
    /// A step; where a batch is taken in parts, one part of it.
    pub program: Executable,
    /// The update after the last part.
    pub update: Option<Executable>,
    pub attached: Attached,
    pub evaluator: Evaluator,
    pub parameter_count: usize,
    /// Names and shapes of the tensors that a checkpoint holds.
    pub saved: BTreeMap<String, Shape>,
    batch: Batch,
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
        let evaluator = Evaluator::new(config, batch, &mut engine)?;
        let parameter_count = graph.parameter_count();
        Ok(Runner { engine, program, update, attached, evaluator, parameter_count, saved, batch })
    }

    /// Takes over the weights that the run starts from, and the normalisation they were trained with.
    ///
    /// # Errors
    /// When the file of weights cannot be read, or does not suit the model.
    pub fn initialise(&mut self, config: &TrainConfig, header: &mut Header) -> Result<(), TrainError> {
        let normalization = init::initialise(&mut self.engine, config, self.evaluator.tensors(), self.batch)?;
        header.normalization = normalization.unwrap_or(header.normalization.clone());
        Ok(())
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
pub(super) fn write_all(program: &mut Executable, inputs: &[(&str, Vec<f32>)]) -> Result<(), TrainError> {
    for (name, values) in inputs {
        program.write(name, HostTensor::F32(values.clone()))?;
    }
    Ok(())
}
