//! `tilewright import`: a checkpoint from PyTorch's weights.

use super::settings::{parse_attribute, source_parser};
use super::{CliError, Global};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tilewright::data::{Normalization, Source};
use tilewright::interop::{Labels, import, read_state_dict};
use tilewright::models::{self, ModelOptions};
use tilewright::path_text::lossy;
use tilewright::train::save_checkpoint;

/// Make a checkpoint of a state_dict, in safetensors or as torch.save writes it
#[derive(Args)]
pub struct Import {
    /// Name of the model, from `tilewright models`
    model: String,
    /// A .safetensors, .pth or .pt file under torchvision's names; nothing in it is executed
    weights: PathBuf,
    /// The checkpoint to write
    #[arg(long, value_name = "CHECKPOINT")]
    out: PathBuf,
    /// An attribute of the model, such as `dropout=0.2`; may be given again. `num_classes` is taken
    /// from the weights
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_attribute)]
    attributes: Vec<(String, Value)>,
    /// The data that the weights were trained on: class names and normalisation are taken from it
    #[arg(long, value_name = "SOURCE", value_parser = source_parser(), conflicts_with_all = ["classes", "mean", "std"])]
    data: Option<Source>,
    /// A file with the name of each class, one a line [default: numbers]
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Mean of each channel, over values from 0 to 1 [default: ImageNet's, 0 for grey images]
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', requires = "std", allow_negative_numbers = true)]
    mean: Option<Vec<f32>>,
    /// Standard deviation of each channel [default: ImageNet's, 1 for grey images]
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', requires = "mean")]
    std: Option<Vec<f32>>,
}

impl Import {
    pub fn run(&self, global: &Global) -> Result<(), CliError> {
        let model = models::find(&self.model)?;
        let options = ModelOptions::from(self.attributes.iter().cloned().collect::<serde_json::Map<_, _>>());
        let labels = self.labels(model.input(&options)?)?;
        let weights = read_state_dict(&self.weights)?;
        let checkpoint = import(model, &options, weights, &self.weights, labels)?;
        save_checkpoint(&self.out, &checkpoint)?;
        let header = &checkpoint.header;
        let elements: usize = checkpoint.tensors.values().map(|(shape, _)| shape.elements()).sum();
        global.say(format_args!(
            "{}: {} with {} tensors of {elements} elements, {} classes",
            self.out.display(),
            model.name,
            checkpoint.tensors.len(),
            header.classes.len()
        ));
        global.result(&json!({
            "checkpoint": lossy(&self.out),
            "model": model.name,
            "tensors": checkpoint.tensors.len(),
            "elements": elements,
            "classes": header.classes.len(),
            "mean": header.normalization.mean,
            "std": header.normalization.std,
        }));
        Ok(())
    }

    fn labels(&self, [channels, height, width]: [usize; 3]) -> Result<Labels, CliError> {
        if let Some(source) = &self.data {
            let options = tilewright::data::LoadOptions {
                size: Some((height, width)),
                channels: Some(channels),
                ..Default::default()
            };
            let train = source.load(&options)?.train;
            let normalization = Some(Normalization::of(&train));
            return Ok(Labels { data: Some(source.clone()), classes: Some(train.classes), normalization });
        }
        let classes = self.classes.as_deref().map(class_names).transpose()?;
        let normalization = self.mean.clone().zip(self.std.clone()).map(|(mean, std)| Normalization { mean, std });
        Ok(Labels { data: None, classes, normalization })
    }
}

fn class_names(file: &Path) -> Result<Vec<String>, CliError> {
    let text = tilewright::regular_file::read_to_string(file)
        .map_err(|error| CliError::failed(format!("`{}` cannot be read: {error}", file.display())))?;
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
}
