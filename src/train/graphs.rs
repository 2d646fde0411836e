//! The training graph and the evaluation graph of a configuration.

#[cfg(feature = "image")]
use super::examples::CHANGED;
use super::feed::{IMAGES, LABELS, MIXTURE, NORMALIZATION, OTHER_LABELS, SHARES, draws};
use super::{TrainError, init};
use crate::graph::{Graph, GraphError, Init, Pass, Role, Value};
use crate::models::{self, ModelOptions};
use crate::nn::{Mode, STEP_NUMBERS, Scope};
use crate::ops::{
    Add, CountCorrect, Mul, NormalizeImages, RecordMetrics, Scale, UnpackImages, UpdateRunningStatistics,
};
use crate::optim::{
    Attached, AverageWeights, Bucket, NotFinite, RunAverage, Shares, UpdateConfig, accumulate, accumulated_gradients,
    in_buckets, loss_scale,
};
use crate::passes::{SyncPoint, update_running};
use crate::recipe::{Precision, TrainConfig};
use crate::setting::{BadSetting, Setting};
use crate::tensor::{Shape, TensorSpec};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// Output of the training graph: (loss, correct, rows) of the last steps.
pub(super) const METRICS: &str = "metrics";
/// Input of the graph of statistics, `[1]` of f32: 1 / (k + 1) in the k-th run, counted from 0.
pub(super) const STATISTICS_SHARE: &str = "statistics_share";
/// Buffer of the training graph, `[HISTORY, 3]`: what [`METRICS`] gives.
pub(super) const HISTORY_TENSOR: &str = "history.train";
/// Before the name of a running statistic: the mean over the runs of a graph of statistics.
pub(super) const STATISTICS_MEAN: &str = "mean.";
/// Buffer of the training graph, `[classes]`: how often each class counts, where they do not count alike.
pub(super) const CLASS_WEIGHTS: &str = "class_weights";
/// Input of the graph of a shard whose batch norms are those of the whole batch, `[1]`: the share of its loss in that of the batch.
pub(super) const LOSS_SHARE: &str = "loss_share";
/// Output of the evaluation graph, `[N, classes]`.
pub(super) const LOGITS: &str = "logits";

/// Steps whose metrics are kept on the device until the host reads them.
pub(super) const HISTORY: usize = 16;

/// Element of the step numbers that says which row of the history a step writes.
const CURSOR: usize = 3;

/// Shape of a batch, and the number of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// [N, C, H, W].
    pub shape: [usize; 4],
    /// Logits for each image.
    pub classes: usize,
}

/// Forward, loss, backward and update. With an average that the configuration asks for, each step counts as an epoch to
/// it, until [`UpdateConfig::averaging`] says otherwise.
///
/// # Errors
/// When the model does not take such images or attributes.
pub fn training_graph(config: &TrainConfig, batch: Batch) -> Result<(Graph, Attached), TrainError> {
    let (mut graph, gradients, loss) = backward(config, batch)?;
    let shares = shares(config, &graph)?;
    // Of what the optimizer adds, nothing is one.
    let statistics: Vec<Value> = statistics_of(&graph).into_values().collect();
    let mut attached = update_config(config).attach_with(&mut graph, &gradients, &shares)?;
    if averages_statistics(config) {
        attached.average_too(&mut graph, &statistics)?;
    }
    Ok((stored(config, graph, loss), attached))
}

/// What a step runs when its batch is taken in parts.
#[derive(Clone, Debug)]
pub struct PartGraphs {
    /// Forward, loss and backward of one part, and the mean of the gradients so far, or the part's own.
    pub part: Graph,
    /// The update, after the last part. Its packs decide where parameters lie: it is prepared first.
    pub update: Graph,
    /// The update's inputs and settings.
    pub attached: Attached,
    /// What the part gives of its gradients, where the batch is cut into shards.
    pub buckets: Vec<Bucket>,
    /// Where the runs of its shards meet, if batch norms are those of the whole batch.
    pub(super) points: Vec<SyncPoint>,
}

/// As [`training_graph`], for batches that are taken in parts of the shape `part`: their gradients are
/// averaged, and the optimizer updates once for all of them. Batch normalisation sees one part at a time. Where the parts
/// are shards, they give their gradients, and whoever runs them averages.
///
/// # Errors
/// When the model does not take such images or attributes.
pub fn part_graphs(config: &TrainConfig, part: Batch) -> Result<PartGraphs, TrainError> {
    let (mut graph, gradients, loss) = backward(config, part)?;
    let shares = shares(config, &graph)?;
    let points = if is_synchronised(config) { graph.synchronise()? } else { Vec::new() };
    let buckets = match config.shard_count() {
        1 => accumulate(&mut graph, &gradients, &shares).map(|()| Vec::new())?,
        _ => in_buckets(&mut graph, &gradients)?,
    };
    if config.shard_count() > 1 {
        statistics_of(&graph).into_iter().for_each(|(name, value)| graph.output(&name, value));
    }
    let mut update = Graph::new();
    let gradients = accumulated_gradients(&mut update, &graph)?;
    update.within(Pass::Update, "running_statistics", |update| update_running(update, &points))?;
    // Those of shards that share them are written by the update.
    let mut statistics: Vec<Value> = statistics_of(&update).into_values().collect();
    let mut attached = update_config(config).attach_with(&mut update, &gradients, &shares)?;
    if averages_statistics(config) {
        statistics.extend(declared_statistics(&mut update, &graph)?);
        attached.average_too(&mut update, &statistics)?;
    }
    Ok(PartGraphs { part: stored(config, graph, loss), update, attached, buckets, points })
}

/// Whether the average of the weights is one of running statistics too.
fn averages_statistics(config: &TrainConfig) -> bool {
    matches!(config.average, Some(RunAverage::Ema { statistics: true, .. }))
}

/// The running statistics that the graph of a `part` writes, in the graph of the update.
fn declared_statistics(update: &mut Graph, part: &Graph) -> Result<Vec<Value>, GraphError> {
    let declared = |(name, value): (String, Value)| match part.tensor(value).role {
        Role::Buffer { init, .. } => Some(update.buffer_of(&name, part.shape(value).clone(), init)),
        _ => None,
    };
    statistics_of(part).into_iter().filter_map(declared).collect()
}

/// The running statistics that a graph writes, by name.
pub(super) fn statistics_of(graph: &Graph) -> BTreeMap<String, Value> {
    let written = graph.nodes().iter().flat_map(|node| node.op.updates().iter().map(|&input| node.inputs[input]));
    let saved = written.filter(|&value| graph.tensor(value).is_saved());
    saved.map(|value| (graph.tensor(value).name.clone(), value)).collect()
}

/// The graph with its features in what the configuration says, and as many of them as it says; the nodes `loss` stay in f32.
fn stored(config: &TrainConfig, graph: Graph, loss: Range<usize>) -> Graph {
    let graph = match config.precision {
        Precision::F32 => graph,
        Precision::F16 => graph.store_in_half(loss),
    };
    if config.recompute { graph.recompute() } else { graph }
}

/// A graph, the gradient of each trainable parameter, and which nodes are those of a loss and of its gradient by the
/// logits.
type WithGradients = (Graph, HashMap<Value, Value>, Range<usize>);

/// Forward, loss and backward. Where features are in f16, the loss is scaled, and so are the gradients.
fn backward(config: &TrainConfig, batch: Batch) -> Result<WithGradients, TrainError> {
    let mut graph = Graph::new();
    let logits = forward(&mut graph, config, batch, Mode::Train)?;
    let begin = graph.nodes().len();
    let labels = graph.input(LABELS, TensorSpec::u32([batch.shape[0]]))?;
    let [loss, rows] = loss(&mut graph, config, logits, labels)?;
    record(&mut graph, [logits, labels, loss, rows])?;
    let wanted: Vec<Value> = graph.trainable().collect();
    let scale = match config.precision {
        Precision::F32 => None,
        Precision::F16 => Some(loss_scale(&mut graph)?),
    };
    // Where there is nothing to share, a shard is what it is otherwise.
    let has_running = graph.nodes().iter().any(|node| node.op_as::<UpdateRunningStatistics>().is_some());
    let share = match is_synchronised(config) && has_running {
        false => None,
        true => Some(graph.input(LOSS_SHARE, graph.spec(loss).clone())?),
    };
    let seed = match (scale, share) {
        (Some(scale), Some(share)) => {
            Some(graph.within(Pass::Backward, "loss", |graph| graph.apply_one(Mul, &[scale, share]))?)
        }
        (scale, share) => scale.or(share),
    };
    let (gradients, end) = match seed {
        None => (graph.gradients(loss, &wanted)?, graph.nodes().len()),
        Some(seed) => graph.backward_in_two(&[(loss, seed)], &wanted, begin)?,
    };
    Ok((graph, gradients, begin..end))
}

/// Whether the shards of a batch share the statistics of their batch norms.
pub(super) fn is_synchronised(config: &TrainConfig) -> bool {
    config.sync_batch_norm && config.shard_count() > 1
}

/// What is the share of each parameter.
fn shares(config: &TrainConfig, graph: &Graph) -> Result<Shares, TrainError> {
    let groups = config.groups();
    groups.expect_meant(graph)?;
    Ok(groups.shares(graph, &config.optimizer))
}

fn update_config(config: &TrainConfig) -> UpdateConfig {
    // The graph is the same whichever steps are averaged: how many an epoch has is known later.
    let averaging = config.average.map(|average| average.resolve(1, config.epochs));
    let not_finite = match config.precision {
        Precision::F16 => NotFinite::Scaled,
        Precision::F32 if config.skip_nonfinite > 0 => NotFinite::Skipped,
        Precision::F32 => NotFinite::Applied,
    };
    UpdateConfig { optimizer: config.optimizer.clone(), transform: config.gradient(), averaging, not_finite }
}

/// Forward with running statistics.
///
/// # Errors
/// When the model does not take such images or attributes.
pub fn evaluation_graph(config: &TrainConfig, batch: Batch) -> Result<Graph, TrainError> {
    let mut graph = Graph::new();
    let logits = forward(&mut graph, config, batch, Mode::Eval)?;
    graph.output(LOGITS, logits);
    Ok(graph)
}

/// As [`evaluation_graph`], of the bytes of images.
///
/// # Errors
/// When the model does not take such images or attributes.
pub(super) fn measuring_graph(config: &TrainConfig, batch: Batch) -> Result<Graph, TrainError> {
    let mut graph = Graph::new();
    let images = graph.within(Pass::Forward, "images", |graph| {
        let [_, _, height, width] = batch.shape;
        let images = unpacked(graph, batch, [height, width])?;
        normalized(graph, images, batch)
    })?;
    let logits = network(&mut graph, config, batch, Mode::Eval, images)?;
    graph.output(LOGITS, logits);
    Ok(graph)
}

/// Forward as in training, for the statistics of its batch norms alone.
pub(super) struct StatisticsGraph {
    /// Each run takes the statistics into their means over the runs so far, under [`STATISTICS_MEAN`].
    pub graph: Graph,
    /// Names and shapes of the running statistics.
    pub statistics: Vec<(String, Shape)>,
}

/// None where there are no running statistics to update.
///
/// # Errors
/// When the model does not take such images or attributes.
pub(super) fn statistics_graph(config: &TrainConfig, batch: Batch) -> Result<Option<StatisticsGraph>, TrainError> {
    let mut graph = Graph::new();
    forward(&mut graph, config, batch, Mode::Train)?;
    let mut running = Vec::new();
    for index in 0..graph.nodes().len() {
        let node = graph.nodes()[index].clone();
        if let Some(&op) = node.op_as::<UpdateRunningStatistics>() {
            running.extend_from_slice(&node.inputs[2..]);
            // The statistics of this run alone.
            let alone = UpdateRunningStatistics { momentum: 1.0, ..op };
            graph.replace_node(index, node.with_op(alone, ()));
        }
    }
    if running.is_empty() {
        return Ok(None);
    }
    let share = graph.input(STATISTICS_SHARE, TensorSpec::f32([1]))?;
    let mut statistics = Vec::new();
    for statistic in running {
        let (name, shape) = (graph.tensor(statistic).name.clone(), graph.shape(statistic).clone());
        let mean = graph.transient_buffer(&format!("{STATISTICS_MEAN}{name}"), shape.clone(), Init::ZEROS)?;
        graph.apply(AverageWeights, &[mean, statistic, share])?;
        statistics.push((name, shape));
    }
    Ok(Some(StatisticsGraph { graph, statistics }))
}

/// Normalised images `[N, C, H, W]`: in evaluation those that are given, in training what augmentation makes of their bytes.
fn images(graph: &mut Graph, config: &TrainConfig, batch: Batch, mode: Mode) -> Result<Value, TrainError> {
    if mode == Mode::Eval {
        return Ok(graph.input(IMAGES, TensorSpec::f32(batch.shape))?);
    }
    graph.within(Pass::Forward, "images", |graph| {
        let [_, _, height, width] = batch.shape;
        let images = unpacked(graph, batch, config.stored([height, width]))?;
        config.augmentations()?.attach(graph, images, draws, MIXTURE, |graph, images| normalized(graph, images, batch))
    })
}

/// Images of this height and width from 0 to 255 `[N, C, H, W]`, of bytes that are an input.
fn unpacked(graph: &mut Graph, batch: Batch, [height, width]: [usize; 2]) -> Result<Value, TrainError> {
    let [n, channels, ..] = batch.shape;
    let words = UnpackImages::words(Shape::from([channels, height, width]).elements());
    let bytes = graph.input(IMAGES, TensorSpec::u32([n, words]))?;
    Ok(graph.apply_one(UnpackImages { shape: [channels, height, width] }, &[bytes])?)
}

/// Images normalised by numbers that are an input.
fn normalized(graph: &mut Graph, images: Value, batch: Batch) -> Result<Value, TrainError> {
    let numbers = graph.input(NORMALIZATION, TensorSpec::f32([batch.shape[1], 2]))?;
    Ok(graph.apply_one(NormalizeImages, &[images, numbers])?)
}

/// What a training step makes of the bytes of images, under [`CHANGED`].
///
/// # Errors
/// When images of that size cannot be changed so.
#[cfg(feature = "image")]
pub(super) fn image_graph(config: &TrainConfig, batch: Batch) -> Result<Graph, TrainError> {
    let mut graph = Graph::new();
    let images = images(&mut graph, config, batch, Mode::Train)?;
    graph.output(CHANGED, images);
    Ok(graph)
}

/// The model's logits.
fn forward(graph: &mut Graph, config: &TrainConfig, batch: Batch, mode: Mode) -> Result<Value, TrainError> {
    let images = images(graph, config, batch, mode)?;
    network(graph, config, batch, mode, images)
}

/// The model's logits of normalised images.
fn network(
    graph: &mut Graph,
    config: &TrainConfig,
    batch: Batch,
    mode: Mode,
    images: Value,
) -> Result<Value, TrainError> {
    graph.freeze(&config.freeze, init::fresh(config, batch)?);
    let options = options(config, batch);
    Ok(models::find(&config.model)?.build(&mut Scope::new(graph, mode), images, &options)?)
}

/// The mean loss, with that of auxiliary classifiers, and the number of rows that count. Where images are mixed, it is the
/// sum of the losses of both labels, by their shares.
fn loss(graph: &mut Graph, config: &TrainConfig, logits: Value, labels: Value) -> Result<[Value; 2], TrainError> {
    let objective = config.loss.objective(config.label_smoothing as f32)?;
    let classes = graph.shape(logits).last().copied().unwrap_or(1);
    let weights = match &config.class_weights {
        Some(asked) => Some((asked, graph.transient_buffer(CLASS_WEIGHTS, [classes], Init::ONES)?)),
        None => None,
    };
    let of_labels = |graph: &mut Graph, logits: Value, labels: Value| match weights {
        None => Ok::<_, TrainError>(objective.attach(graph, logits, labels)?),
        Some((asked, weights)) => objective.attach_weighted(graph, logits, labels, weights)?.ok_or_else(|| {
            let rule = format!("left out with {}, which takes no weights", Setting("loss").to(&config.loss));
            BadSetting::new("class_weights", asked, rule).into()
        }),
    };
    let mixture = match config.augmentations()?.mixes() {
        true => Some(mixture(graph, labels)?),
        false => None,
    };
    let attach = |graph: &mut Graph, logits: Value| {
        let [loss, rows] = of_labels(graph, logits, labels)?;
        let Some((others, [share, other_share])) = mixture else { return Ok::<_, TrainError>([loss, rows]) };
        let [other, _] = of_labels(graph, logits, others)?;
        let loss = graph.apply_one(Mul, &[loss, share])?;
        let other = graph.apply_one(Mul, &[other, other_share])?;
        Ok([graph.apply_one(Add, &[loss, other])?, rows])
    };
    let [mut loss, rows] = attach(graph, logits)?;
    for (auxiliary, weight) in graph.auxiliaries().to_vec() {
        let [own, _] = attach(graph, auxiliary)?;
        let own = graph.apply_one(Scale { factor: weight }, &[own])?;
        loss = graph.apply_one(Add, &[loss, own])?;
    }
    Ok([loss, rows])
}

/// The other labels of mixed images, and the shares of `labels` and of these.
fn mixture(graph: &mut Graph, labels: Value) -> Result<(Value, [Value; 2]), TrainError> {
    let others = graph.input(OTHER_LABELS, graph.spec(labels).clone())?;
    let [share, other] = SHARES.map(|name| graph.input(name, TensorSpec::f32([1])));
    Ok((others, [share?, other?]))
}

/// What a run asks of its model.
pub(super) fn options(config: &TrainConfig, batch: Batch) -> ModelOptions {
    ModelOptions::from(config.attributes.clone()).num_classes(batch.classes)
}

/// Keeps loss and number of correct rows of the last steps on the device.
fn record(graph: &mut Graph, [logits, labels, loss, rows]: [Value; 4]) -> Result<(), TrainError> {
    let correct = graph.apply_one(CountCorrect { k: 1 }, &[logits, labels])?;
    let numbers = match graph.find(STEP_NUMBERS) {
        Some(numbers) => numbers,
        None => graph.input(STEP_NUMBERS, TensorSpec::u32([4]))?,
    };
    let history = graph.transient_buffer(HISTORY_TENSOR, [HISTORY, 3], Init::ZEROS)?;
    graph.apply(RecordMetrics { cursor: CURSOR }, &[loss, correct, rows, numbers, history])?;
    graph.output(METRICS, history);
    Ok(())
}

/// The step numbers of step `step` under `seed`.
pub(super) fn step_numbers(seed: u64, step: u64) -> [u32; 4] {
    [seed as u32, (seed >> 32) as u32, step as u32, (step % HISTORY as u64) as u32]
}
