//! What a trained model makes of an image on the way to its class: the features before its head, and where in the image the
//! evidence for a class lies.

use super::feed::IMAGES;
use super::graphs::{Batch, LOGITS, evaluation_graph};
use super::{TrainError, softmax};
use crate::activity::Activity;
use crate::checkpoint::{Checkpoint, Header};
use crate::graph::{Graph, Role, Value};
use crate::interop::{InteropError, finite};
use crate::ops::Conv2d;
use crate::report::{Pixels, Tile, Tiles, viridis};
use crate::session::{Device, Input, Output, Program, Session, Tensors};
use crate::tensor::{Shape, TensorSpec};
use std::path::Path;

/// Output of the graph of features.
const FEATURES: &str = "features";
/// Input of the graph of evidence, `[N, classes]`: 1 at the class that is asked about.
const ASKED: &str = "asked";
/// Output of the graph of evidence: the gradient of the class's logit with respect to the features.
const GRADIENT: &str = "gradient";

/// A model that stops before its head, for the features that it tells classes by.
pub struct Embedder {
    program: Program,
    images: Input,
    output: Output,
    /// Features of an image, and places that each is averaged over.
    features: usize,
    places: usize,
    /// Images of a batch.
    batch: usize,
    activity: Activity,
}

impl Embedder {
    /// Of a checkpoint, read from `path`, for batches of that shape.
    ///
    /// # Errors
    /// When the device cannot run the model, it has no head, or a tensor is missing or of another shape.
    pub fn of(checkpoint: &Checkpoint, path: &Path, batch: Batch, device: &Device) -> Result<Embedder, TrainError> {
        let mut graph = evaluation_graph(&checkpoint.header.config, batch)?;
        let logits = logits_of(&graph);
        let head = logits.and_then(|logits| head_input(&graph, logits));
        let Some(value) = head else {
            return Err(TrainError::NoHead { model: checkpoint.header.config.model.clone() });
        };
        let shape = graph.shape(value).clone();
        // [N, C, H, W], or [N, ..., C].
        let (features, places) = match (shape.nchw(), shape.last()) {
            (Some([_, channels, height, width]), _) => (channels, height * width),
            (None, Some(&last)) => (last, shape.elements() / (shape[0] * last).max(1)),
            (None, None) => (1, 1),
        };
        graph.output(FEATURES, value);
        let program = restored(&graph, checkpoint, path, device)?;
        let (images, output) = (program.input(IMAGES)?, program.output(FEATURES)?);
        let activity = device.activity().clone();
        Ok(Embedder { program, images, output, features, places, batch: batch.shape[0], activity })
    }

    /// Features of an image.
    pub fn width(&self) -> usize {
        self.features
    }

    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }

    /// The features `[N, width]` of a batch of normalised images `[N, C, H, W]`; where the model has them for each place of
    /// the image, their mean.
    ///
    /// # Errors
    /// When the device fails.
    pub fn features(&mut self, images: &[f32]) -> Result<Vec<f32>, TrainError> {
        self.program.write(self.images, images)?;
        self.program.run()?;
        let found = self.program.read(self.output)?.wait()?;
        Ok(match self.places {
            1 => found.f32().to_vec(),
            places => {
                let mean = |plane: &[f32]| (plane.iter().map(|&x| f64::from(x)).sum::<f64>() / places as f64) as f32;
                found.f32().chunks_exact(places).map(mean).collect()
            }
        })
    }
}

/// Grad-CAM (Selvaraju et al. 2017): how much each place of an image speaks for a class, by the features A of the last
/// convolution, as they are after its activation, and the gradient of the class's logit with respect to them.
///
/// map = relu(sum over k of w_k A_k), where w_k is the mean of the gradient over the places of A_k.
pub struct Explainer {
    program: Program,
    images: Input,
    asked: Input,
    /// Logits, features and their gradient.
    outputs: [Output; 3],
    batch: Batch,
    /// [channels, height, width] of the features.
    features: [usize; 3],
}

/// Where in an image the evidence for a class lies.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Evidence {
    /// The class.
    pub class: usize,
    /// Its probability, from 0 to 1.
    pub probability: f64,
    /// Height and width of the map.
    pub size: [usize; 2],
    /// Row by row, from 0 to 1, which the strongest place has; all 0 where nothing speaks for the class.
    pub map: Vec<f32>,
    /// The largest value before the map was brought to 1.
    pub strongest: f32,
}

impl Explainer {
    /// Of a checkpoint, read from `path`, for batches of that shape.
    ///
    /// # Errors
    /// When the device cannot run the model, it has no convolution, or a tensor is missing or of another shape.
    pub fn of(checkpoint: &Checkpoint, path: &Path, batch: Batch, device: &Device) -> Result<Explainer, TrainError> {
        let mut graph = evaluation_graph(&checkpoint.header.config, batch)?;
        let no_map = || TrainError::NoMap { model: checkpoint.header.config.model.clone() };
        let logits = logits_of(&graph).ok_or_else(no_map)?;
        let value = last_features(&graph).ok_or_else(no_map)?;
        let [_, channels, height, width] = graph.shape(value).nchw().ok_or_else(no_map)?;
        let asked = graph.input(ASKED, TensorSpec::f32([batch.shape[0], batch.classes]))?;
        let gradients = graph.backward(&[(logits, asked)], &[value])?;
        let gradient = *gradients.get(&value).ok_or_else(no_map)?;
        graph.output(FEATURES, value);
        graph.output(GRADIENT, gradient);
        let program = restored(&graph, checkpoint, path, device)?;
        let (images, asked) = (program.input(IMAGES)?, program.input(ASKED)?);
        let outputs = [program.output(LOGITS)?, program.output(FEATURES)?, program.output(GRADIENT)?];
        Ok(Explainer { program, images, asked, outputs, batch, features: [channels, height, width] })
    }

    /// For each of a batch of normalised images `[N, C, H, W]`, what speaks for a class: that which `classes` has for it, or
    /// the likeliest.
    ///
    /// # Errors
    /// When the device fails.
    ///
    /// # Panics
    /// When `classes` has fewer entries than the batch has images, or one that is no class.
    pub fn explain(&mut self, images: &[f32], classes: Option<&[usize]>) -> Result<Vec<Evidence>, TrainError> {
        let count = self.batch.classes;
        self.program.write(self.images, images)?;
        let mut asked = vec![0.0f32; self.batch.shape[0] * count];
        self.program.write(self.asked, &asked)?;
        self.program.run()?;
        let logits = self.program.read(self.outputs[0])?.wait()?;
        let rows: Vec<Vec<f64>> = logits.f32().chunks_exact(count).map(softmax).collect();
        let likeliest =
            |row: &Vec<f64>| (0..count).fold(0, |best, class| if row[class] > row[best] { class } else { best });
        let chosen: Vec<usize> = match classes {
            Some(classes) => classes[..rows.len()].to_vec(),
            None => rows.iter().map(likeliest).collect(),
        };
        chosen.iter().enumerate().for_each(|(image, class)| asked[image * count + class] = 1.0);
        self.program.write(self.asked, &asked)?;
        self.program.run()?;
        let [features, gradients] = [self.outputs[1], self.outputs[2]].map(|output| self.program.read(output));
        let (features, gradients) = (features?.wait()?, gradients?.wait()?);
        let [channels, height, width] = self.features;
        let size = channels * height * width;
        let evidence = |(image, &class): (usize, &usize)| {
            let own = image * size..(image + 1) * size;
            let (map, strongest) = class_map(&features.f32()[own.clone()], &gradients.f32()[own], height * width);
            Evidence { class, probability: rows[image][class], size: [height, width], map, strongest }
        };
        Ok(chosen.iter().enumerate().map(evidence).collect())
    }
}

/// The map of one image, brought to 1, and what it was divided by.
fn class_map(features: &[f32], gradients: &[f32], places: usize) -> (Vec<f32>, f32) {
    let mut map = vec![0.0f64; places];
    for (features, gradients) in features.chunks_exact(places).zip(gradients.chunks_exact(places)) {
        let weight = gradients.iter().map(|&x| f64::from(x)).sum::<f64>() / places as f64;
        map.iter_mut().zip(features).for_each(|(sum, &feature)| *sum += weight * f64::from(feature));
    }
    let strongest = map.iter().copied().fold(0.0, f64::max);
    let scaled = map.iter().map(|&value| if strongest > 0.0 { (value.max(0.0) / strongest) as f32 } else { 0.0 });
    (scaled.collect(), strongest as f32)
}

impl Evidence {
    /// The map at the size of an image, between its places bilinear.
    pub fn resized(&self, height: usize, width: usize) -> Vec<f32> {
        let [rows, columns] = self.size;
        // The middles of pixels lie on each other, as in PyTorch without `align_corners`.
        let place = |index: usize, to: usize, from: usize| {
            let at = ((index as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, from as f64 - 1.0);
            let low = at as usize;
            (low, (low + 1).min(from - 1), at - low as f64)
        };
        let mut resized = Vec::with_capacity(height * width);
        for i in 0..height {
            let (upper, lower, down) = place(i, height, rows);
            for j in 0..width {
                let (left, right, along) = place(j, width, columns);
                let at = |row: usize, column: usize| f64::from(self.map[row * columns + column]);
                let mix = |row: usize| at(row, left) * (1.0 - along) + at(row, right) * along;
                resized.push((mix(upper) * (1.0 - down) + mix(lower) * down) as f32);
            }
        }
        resized
    }
}

/// An image `[C, H, W]` of bytes as a checkpoint's model takes it, and beside it how much each place speaks for a class: the
/// grey image in the colours of the map, the stronger the lighter.
///
/// # Panics
/// When the image has another size.
pub fn explanation(image: &[u8], header: &Header, evidence: &Evidence) -> Tiles {
    let pixels = Pixels::of_planes(image, header.input);
    let [_, height, width] = header.input;
    let mut shaded = pixels.clone();
    for (place, share) in evidence.resized(height, width).into_iter().enumerate() {
        let (x, y) = (place % width, place / width);
        let [red, green, blue] = pixels.at(x, y).map(f32::from);
        let grey = 0.299 * red + 0.587 * green + 0.114 * blue;
        let colour = viridis(f64::from(share)).map(|channel| (0.4 * grey + 0.6 * f32::from(channel)) as u8);
        shaded.set(x, y, colour);
    }
    let class = &header.classes[evidence.class];
    let tile = |pixels: Pixels, caption: String| Tile { pixels, caption: vec![caption] };
    Tiles {
        title: format!("What speaks for {class}"),
        tiles: vec![
            tile(pixels, format!("{class}, {:.1} %", 100.0 * evidence.probability)),
            tile(shaded, "most where light".to_owned()),
        ],
        side: 224,
        columns: 2,
    }
}

/// A program of a graph with the weights of a checkpoint.
pub(super) fn restored(
    graph: &Graph,
    checkpoint: &Checkpoint,
    path: &Path,
    device: &Device,
) -> Result<Program, TrainError> {
    let session = Session::new(device, checkpoint.header.config.seed);
    let [program] = session.prepare([graph])?;
    restore(&session, &saved_tensors(graph), checkpoint, path)?;
    Ok(program)
}

/// Name and shape of what checkpoints have of a graph.
pub(super) fn saved_tensors(graph: &Graph) -> Vec<(String, Shape)> {
    let saved = graph.tensors().iter().filter(|tensor| tensor.is_saved());
    saved.map(|tensor| (tensor.name.clone(), tensor.spec.shape.clone())).collect()
}

/// Sets tensors of a session to those of a checkpoint, which was read from `path`.
///
/// # Errors
/// When one is missing, of another shape or not finite.
pub(super) fn restore(
    session: &Session,
    tensors: &[(String, Shape)],
    checkpoint: &Checkpoint,
    path: &Path,
) -> Result<(), TrainError> {
    let mut held = Tensors::new();
    for (name, shape) in tensors {
        held.insert(name.clone(), (shape.clone(), checkpoint.tensor(path, name, shape)?));
    }
    finite(&held).map_err(|reason| InteropError::NotFinite { path: path.to_owned(), reason })?;
    held.retain(|name, _| session.has(name));
    Ok(session.import(&held)?)
}

fn logits_of(graph: &Graph) -> Option<Value> {
    graph.outputs().iter().find(|(name, _)| name == LOGITS).map(|(_, value)| *value)
}

/// What the last layer with weights reads.
fn head_input(graph: &Graph, logits: Value) -> Option<Value> {
    let is_weight =
        |value: &Value| matches!(graph.tensor(*value).role, Role::Parameter { .. }) && graph.shape(*value).len() > 1;
    let mut value = logits;
    while let Role::Node { node, .. } = graph.tensor(value).role {
        let inputs = &graph.nodes()[node].inputs;
        if inputs.iter().skip(1).any(is_weight) {
            return inputs.first().copied();
        }
        value = *inputs.first()?;
    }
    None
}

/// The last convolution's features: its output, or what is made of that place by place, such as by an activation, where it is
/// the last that still has the convolution's size.
fn last_features(graph: &Graph) -> Option<Value> {
    let is_plane = |value: Value| graph.shape(value).nchw().is_some_and(|[_, _, height, width]| height * width > 1);
    let nodes = graph.nodes();
    let last = nodes.iter().rposition(|node| node.op_as::<Conv2d>().is_some() && is_plane(node.outputs[0]));
    // The convolutions of a gate, which see one place, are no planes.
    let first = last?;
    let mut value = nodes[first].outputs[0];
    let size = |value: Value| graph.shape(value).nchw().map(|[_, _, height, width]| [height, width]);
    for node in &nodes[first + 1..] {
        // With other features beside them, where these are joined.
        if node.inputs.contains(&value) && node.outputs.len() == 1 && size(node.outputs[0]) == size(value) {
            value = node.outputs[0];
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::TrainConfig;

    /// Layer and op that a value comes from, and its shape.
    fn told(model: &str, size: usize, find: impl Fn(&Graph) -> Option<Value>) -> (String, &'static str, Vec<usize>) {
        let config = TrainConfig { model: model.to_owned(), ..TrainConfig::default() };
        let channels = if model == "lenet5" { 1 } else { 3 };
        let graph = evaluation_graph(&config, Batch { shape: [2, channels, size, size], classes: 10 }).unwrap();
        let value = find(&graph).unwrap();
        let Role::Node { node, .. } = graph.tensor(value).role else { panic!("{model}: no node") };
        let node = &graph.nodes()[node];
        (node.layer.clone(), node.op.name(), graph.shape(value).to_vec())
    }

    #[test]
    fn features_are_what_the_last_layer_reads() {
        let head = |graph: &Graph| head_input(graph, logits_of(graph).unwrap());
        assert_eq!(told("lenet5", 28, head).2, [2, 84]);
        assert_eq!(told("resnet18_cifar", 32, head).2, [2, 512]);
        assert_eq!(told("squeezenet1_1", 64, head).2[..2], [2, 512], "its head is a convolution");
        assert_eq!(told("vgg11", 64, head).2, [2, 4096]);
    }

    #[test]
    fn the_last_features_are_those_after_the_activation_and_before_any_pooling() {
        assert_eq!(told("lenet5", 28, last_features).2, [2, 16, 10, 10]);
        let (_, op, shape) = told("resnet18_cifar", 32, last_features);
        assert_ne!(op, "conv2d", "after the sum and its activation");
        assert_eq!(shape, [2, 512, 4, 4]);
        assert_eq!(told("vgg11", 64, last_features).2, [2, 512, 4, 4]);
    }

    #[test]
    fn a_map_is_the_sum_by_the_mean_gradients_and_what_speaks_against_is_nothing() {
        // Weights 2 and -1 of two features over two places: 2 * (1, 3) - (4, 1) = (-2, 5).
        let (map, strongest) = class_map(&[1.0, 3.0, 4.0, 1.0], &[1.0, 3.0, -2.0, 0.0], 2);
        assert_eq!((map, strongest), (vec![0.0, 1.0], 5.0));
        assert_eq!(class_map(&[1.0, 1.0], &[-1.0, 0.0], 2), (vec![0.0, 0.0], 0.0));
    }

    #[test]
    fn a_map_is_drawn_out_as_pytorch_does() {
        let map = vec![0.0, 1.0, 1.0, 0.0];
        let evidence = Evidence { class: 0, probability: 1.0, size: [2, 2], map, strongest: 1.0 };
        let large = evidence.resized(4, 4);
        // torch.nn.functional.interpolate(map, size=4, mode="bilinear").
        assert_eq!(large[..4], [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(large[4..8], [0.25, 0.375, 0.625, 0.75]);
        assert_eq!(evidence.resized(2, 2), evidence.map);
    }
}
