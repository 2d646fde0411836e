//! Batch norms over a batch that is cut into shards: each shard gives the sums of its own images where the whole batch counts,
//! and goes on with those of all.

use crate::graph::{Graph, GraphError, Init, Role, Value};
use crate::ops::{BatchNormSums, UpdateRunningStatistics};
use crate::tensor::TensorSpec;
use std::collections::HashMap;

/// Where a shard gives what its batch norm has of its own images, and is given what the whole batch has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SyncPoint {
    /// Outputs of the graph: of the forward pass mean and variance, of the backward pass the coefficients.
    pub given: Vec<String>,
    /// Inputs that take their place.
    pub taken: Vec<String>,
    pub channels: usize,
    /// Of the forward pass: what becomes of the running statistics.
    pub running: Option<Running>,
}

/// Running statistics, which take their share of a batch once for all shards.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Running {
    pub momentum: f32,
    /// Elements of a channel in an image.
    pub elements: usize,
    /// Inputs of the [update](update_running): mean and unbiased variance of the batch.
    pub inputs: [String; 2],
    /// Buffers of mean and variance, and what they start from.
    pub buffers: [(String, Init); 2],
}

impl Graph {
    /// Cuts a graph of forward and backward pass at each batch norm that keeps running statistics, which are no longer updated
    /// by it; gives the points in the order in which a run comes to them.
    ///
    /// # Errors
    /// When a name is taken.
    pub(crate) fn synchronise(&mut self) -> Result<Vec<SyncPoint>, GraphError> {
        let mut points = Vec::new();
        // What is read in place of a shard's own.
        let mut whole: HashMap<Value, Value> = HashMap::new();
        let nodes = self.nodes().to_vec();
        for node in &nodes {
            let Some(&update) = node.op_as::<UpdateRunningStatistics>() else { continue };
            let running = self.running(&node.inputs, update, points.len());
            points.push(self.point(&node.inputs[..2], running, &mut whole)?);
        }
        for node in &nodes {
            let is_meant = node.op_as::<BatchNormSums>().is_some() && whole.contains_key(&node.inputs[2]);
            let coefficients = node.outputs.last().filter(|value| nodes.iter().any(|node| node.inputs.contains(value)));
            if let (true, Some(&coefficients)) = (is_meant, coefficients) {
                points.push(self.point(&[coefficients], None, &mut whole)?);
            }
        }
        let kept = nodes.into_iter().filter(|node| node.op_as::<UpdateRunningStatistics>().is_none());
        let mut kept: Vec<_> = kept.collect();
        for input in kept.iter_mut().flat_map(|node| &mut node.inputs) {
            *input = *whole.get(input).unwrap_or(input);
        }
        self.set_nodes(kept);
        points.sort_by_key(|point| self.made_by(&point.given));
        Ok(points)
    }

    /// The last node that outputs of these names need.
    pub(crate) fn made_by(&self, outputs: &[String]) -> usize {
        let of = |(name, value): &(String, Value)| outputs.contains(name).then(|| self.last_writer(*value));
        self.outputs().iter().filter_map(of).max().unwrap_or_default()
    }

    fn point(
        &mut self,
        own: &[Value],
        running: Option<Running>,
        whole: &mut HashMap<Value, Value>,
    ) -> Result<SyncPoint, GraphError> {
        let (mut given, mut taken) = (Vec::new(), Vec::new());
        for &value in own {
            let name = format!("of_shard.{}", self.tensor(value).name);
            self.output(&name, value);
            given.push(name);
            let name = format!("of_batch.{}", self.tensor(value).name);
            let input = self.input(&name, TensorSpec::f32(self.shape(value).clone()))?;
            taken.push(name);
            whole.insert(value, input);
        }
        Ok(SyncPoint { given, taken, channels: self.shape(own[0])[0], running })
    }

    fn running(&self, inputs: &[Value], update: UpdateRunningStatistics, place: usize) -> Option<Running> {
        let buffer = |&value: &Value| match &self.tensor(value).role {
            Role::Buffer { init, .. } => Some((self.tensor(value).name.clone(), *init)),
            _ => None,
        };
        let &[own, _, ref mean, ref variance] = inputs else { return None };
        let Role::Node { node, .. } = self.tensor(own).role else { return None };
        let images = self.shape(self.nodes()[node].inputs[0])[0];
        Some(Running {
            momentum: update.momentum,
            elements: update.count? / images,
            inputs: ["mean", "unbiased"].map(|which| format!("running.{place}.{which}")),
            buffers: [buffer(mean)?, buffer(variance)?],
        })
    }
}

/// Adds to the graph of an update what becomes of running statistics at `points`.
///
/// # Errors
/// When a name is taken.
pub(crate) fn update_running(graph: &mut Graph, points: &[SyncPoint]) -> Result<(), GraphError> {
    for (point, running) in points.iter().filter_map(|point| Some((point, point.running.as_ref()?))) {
        let mut values = Vec::new();
        for name in &running.inputs {
            values.push(graph.input(name, TensorSpec::f32([point.channels]))?);
        }
        for (name, init) in &running.buffers {
            values.push(graph.buffer_of(name, [point.channels].into(), *init)?);
        }
        graph.apply(UpdateRunningStatistics { momentum: running.momentum, count: None }, &values)?;
    }
    Ok(())
}
