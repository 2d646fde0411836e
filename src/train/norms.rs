//! How large the weights of each layer are, and how large the gradients that reach them: where the latter fall by orders of
//! magnitude from the last layer to the first, they vanish.

use super::feed::{IMAGES, LABELS};
use super::graphs::{Batch, LOGITS, evaluation_graph};
use super::inside::{restore, saved_tensors};
use super::{TrainError, run_folder};
use crate::checkpoint::{Checkpoint, Header};
use crate::data::Dataset;
use crate::ops::CrossEntropy;
use crate::report::{Across, Curve, Panel, Picture, Style};
use crate::session::{Device, Output, Program, Session, SessionError};
use crate::tensor::{Shape, TensorSpec};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Layers whose names are all written below a picture.
const MOST_NAMED: usize = 28;

/// The weights of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LayerNorm {
    /// Of the parameter.
    pub name: String,
    /// Its elements.
    pub elements: usize,
    /// The square root of the sum of their squares.
    pub weight_norm: f64,
    /// The same of the gradient of the mean cross-entropy of some images.
    pub gradient_norm: f64,
}

/// Measures the norms of all weights of more than one dimension, in the order of the layers, and those of their gradients by
/// some images, with running statistics.
pub(super) struct NormMeter {
    session: Session,
    program: Program,
    /// Name and shape of all that a checkpoint has of the graph.
    tensors: Vec<(String, Shape)>,
    /// The weights, and the outputs that are their gradients.
    gradients: Vec<(String, Output)>,
}

impl NormMeter {
    /// For checkpoints with such a `header`, by at most `most` of `images`.
    ///
    /// # Errors
    /// When an image cannot be read, or the device cannot run the model.
    pub(super) fn new(
        header: &Header,
        images: &Dataset,
        most: usize,
        device: &Device,
    ) -> Result<NormMeter, TrainError> {
        let [channels, height, width] = header.input;
        let count = images.len().min(most).max(1);
        let batch = Batch { shape: [count, channels, height, width], classes: header.classes.len() };
        let mut graph = evaluation_graph(&header.config, batch)?;
        let logits = graph.outputs().iter().find(|(name, _)| name == LOGITS).map(|(_, value)| *value);
        let Some(logits) = logits else { return Err(TrainError::NoHead { model: header.config.model.clone() }) };
        let labels = graph.input(LABELS, TensorSpec::u32([count]))?;
        let loss = graph.apply_one(CrossEntropy::default(), &[logits, labels])?;
        let weights: Vec<_> = graph.parameters().filter(|&value| graph.shape(value).len() > 1).collect();
        let gradients = graph.gradients(loss, &weights)?;
        let mut reached = Vec::new();
        for weight in weights.into_iter().filter(|weight| gradients.contains_key(weight)) {
            let name = graph.tensor(weight).name.clone();
            graph.output(&gradient_of(&name), gradients[&weight]);
            reached.push(name);
        }
        let session = Session::new(device, header.config.seed);
        let [mut program] = session.prepare([&graph])?;
        let mut numbers: Vec<f32> = Vec::new();
        for index in 0..count {
            numbers.extend(header.normalization.apply(&images.image(index)?));
        }
        program.write(program.input(IMAGES)?, &numbers)?;
        program.write(program.input(LABELS)?, &images.labels[..count])?;
        let with_output = |name: String| Ok((name.clone(), program.output(&gradient_of(&name))?));
        let gradients = reached.into_iter().map(with_output).collect::<Result<_, SessionError>>()?;
        Ok(NormMeter { session, tensors: saved_tensors(&graph), gradients, program })
    }

    /// Those of a checkpoint, read from `path`.
    ///
    /// # Errors
    /// When the device fails, or a tensor is missing, of another shape or not finite.
    pub(super) fn measure(&mut self, checkpoint: &Checkpoint, path: &Path) -> Result<Vec<LayerNorm>, TrainError> {
        restore(&self.session, &self.tensors, checkpoint, path)?;
        self.program.run()?;
        let norm = |values: &[f32]| values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let mut norms = Vec::new();
        for (name, gradient) in &self.gradients {
            let gradient = self.program.read(*gradient)?.wait()?;
            let held = checkpoint.tensors.get(name).map_or(&[][..], |(_, values)| values);
            norms.push(LayerNorm {
                name: name.clone(),
                elements: held.len(),
                weight_norm: norm(held),
                gradient_norm: norm(gradient.f32()),
            });
        }
        Ok(norms)
    }
}

/// The norms of all weights of more than one dimension, in the order of the layers, by at most `most` of `images`, with
/// running statistics.
///
/// # Errors
/// When there is no image, the device cannot run the model, or a tensor is missing or of another shape.
pub fn layer_norms(
    checkpoint: &Checkpoint,
    path: &Path,
    images: &Dataset,
    most: usize,
    device: &Device,
) -> Result<Vec<LayerNorm>, TrainError> {
    NormMeter::new(&checkpoint.header, images, most, device)?.measure(checkpoint, path)
}

fn gradient_of(name: &str) -> String {
    format!("gradient.{name}")
}

/// The norms over the layers, to a logarithmic scale: a curve for each set of them, by its name.
pub fn norm_panels(sets: &[(String, Vec<LayerNorm>)]) -> [Panel; 2] {
    let layers = sets.first().map_or(&[][..], |(_, norms)| norms);
    let step = layers.len().div_ceil(MOST_NAMED).max(1);
    let named = |(index, norm): (usize, &LayerNorm)| match index % step {
        0 => norm.name.strip_suffix(".weight").unwrap_or(&norm.name).to_owned(),
        _ => String::new(),
    };
    let names: Vec<String> = layers.iter().enumerate().map(named).collect();
    let panel = |title: &str, value: fn(&LayerNorm) -> f64| Panel {
        title: title.to_owned(),
        x_label: "layer, from the first to the last".to_owned(),
        y_label: "L2 norm".to_owned(),
        across: Across::Names(names.clone()),
        log_y: true,
        curves: sets
            .iter()
            .map(|(label, norms)| Curve {
                label: label.clone(),
                points: norms.iter().enumerate().map(|(index, norm)| (index as f64 + 1.0, value(norm))).collect(),
                style: Style::DottedLine,
            })
            .collect(),
        ..Panel::default()
    };
    [
        panel("gradients of the layers", |norm| norm.gradient_norm),
        panel("weights of the layers", |norm| norm.weight_norm),
    ]
}

/// Writes `norms.csv`, `norms.svg` and `norms.png` into a folder that is there.
///
/// # Errors
/// When a picture cannot be drawn, or a file cannot be written.
pub fn write_norms(norms: &[LayerNorm], folder: &Path) -> Result<(), TrainError> {
    run_folder::write_table(&folder.join("norms.csv"), norms)?;
    draw_norms(&[("this checkpoint".to_owned(), norms.to_vec())], folder)
}

/// Writes `norms.svg` and `norms.png` into a folder that is there.
pub(super) fn draw_norms(sets: &[(String, Vec<LayerNorm>)], folder: &Path) -> Result<(), TrainError> {
    super::findings::write_both(folder, "norms", &Picture::Panels(&norm_panels(sets))).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::{Embedder, Evaluator, softmax};
    use super::*;
    use crate::data::Normalization;
    use crate::recipe::TrainConfig;
    use std::collections::BTreeMap;

    /// A LeNet-5 with its initial weights, and two images for it.
    fn fresh() -> (Checkpoint, Dataset) {
        let config = TrainConfig { model: "lenet5".to_owned(), ..TrainConfig::default() };
        let classes: Vec<String> = (0..3).map(|class| class.to_string()).collect();
        let graph = evaluation_graph(&config, Batch { shape: [1, 1, 28, 28], classes: 3 }).unwrap();
        let session = Session::new(&Device::reference(), 1);
        let [_program] = session.prepare([&graph]).unwrap();
        let mut tensors = BTreeMap::new();
        for tensor in graph.tensors().iter().filter(|tensor| tensor.is_saved()) {
            tensors.insert(tensor.name.clone(), (tensor.spec.shape.clone(), session.get(&tensor.name).unwrap()));
        }
        let normalization = Normalization { mean: vec![0.5], std: vec![0.5] };
        let header = Header::new(config, [1, 28, 28], classes.clone(), normalization);
        let pixels = (0..2 * 784).map(|pixel| (pixel * 37 % 256) as u8).collect();
        let images = Dataset::new("two", [1, 28, 28], classes, pixels, vec![2, 0]).unwrap();
        (Checkpoint { header, tensors }, images)
    }

    #[test]
    fn the_gradient_of_the_last_layer_is_that_of_its_formula() {
        let (checkpoint, images) = fresh();
        let (path, device) = (Path::new("fresh"), Device::reference());
        let norms = layer_norms(&checkpoint, path, &images, 10, &device).unwrap();
        let names: Vec<&str> = norms.iter().map(|norm| norm.name.as_str()).collect();
        assert_eq!(names, ["conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight", "fc3.weight"]);
        // dL/dW = the mean over the images of (p - y) f^T, with probabilities p, the label y and features f.
        let batch = Batch { shape: [2, 1, 28, 28], classes: 3 };
        let bytes: Vec<u8> = (0..2).flat_map(|index| images.image(index).unwrap().into_owned()).collect();
        let normalization = &checkpoint.header.normalization;
        let pixels = normalization.apply(&bytes);
        let features = Embedder::of(&checkpoint, path, batch, &device).unwrap().features(&pixels).unwrap();
        let logits = Evaluator::of(&checkpoint, path, batch, &device).unwrap().logits(&bytes, normalization).unwrap();
        let mut gradient = vec![0.0f64; 3 * 84];
        for image in 0..2 {
            for (class, p) in softmax(&logits[3 * image..3 * image + 3]).into_iter().enumerate() {
                let wrong = p - f64::from(u8::from(images.labels[image] as usize == class));
                for feature in 0..84 {
                    gradient[class * 84 + feature] += wrong * f64::from(features[image * 84 + feature]) / 2.0;
                }
            }
        }
        let expected = gradient.iter().map(|x| x * x).sum::<f64>().sqrt();
        let last = &norms[4];
        assert!((last.gradient_norm / expected - 1.0).abs() < 1e-4, "{} and {expected}", last.gradient_norm);
        let held = &checkpoint.tensors["fc3.weight"].1;
        let own = held.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        assert!((own - last.weight_norm).abs() < 1e-5 * own && last.elements == 252);
    }

    #[test]
    fn of_many_layers_every_so_many_are_named() {
        let norm = |index: usize| LayerNorm {
            name: format!("layer{index}.weight"),
            elements: 1,
            weight_norm: 1.0,
            gradient_norm: 1.0,
        };
        let [panel, _] = norm_panels(&[("now".to_owned(), (0..60).map(norm).collect())]);
        let Across::Names(names) = &panel.across else { panic!("{:?}", panel.across) };
        assert_eq!((names.len(), names.iter().filter(|name| !name.is_empty()).count()), (60, 20));
        assert_eq!((names[0].as_str(), names[3].as_str()), ("layer0", "layer3"));
    }
}
