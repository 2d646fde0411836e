//! `tilewright import`: a checkpoint from PyTorch's weights.

use super::classes::class_names;
use super::eval::checkpoint_file;
use super::output::refuse_overwriting;
use super::rows::ImageOptions;
use super::settings::{DATA, MODEL, source_parser};
use super::{CliError, Global};
use clap::Args;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tilewright::checkpoint::save_checkpoint;
use tilewright::data::{LoadOptions, Normalization, Normalize, Source};
use tilewright::interop::{Definition, Labels, WeightsFile, expected_images, import, told_attributes};
use tilewright::models::{self, Model, ModelOptions};
use tilewright::path_text::lossy;
use tilewright::recipe::read_attribute;

/// Make a checkpoint of a state_dict, in safetensors or as torch.save writes it
#[derive(Args)]
pub(super) struct Import {
    /// Name of the model, from `tilewright models`
    model: String,
    /// A .safetensors, .pth or .pt file under torchvision's names; nothing in it is executed
    weights: PathBuf,
    /// The checkpoint to write
    #[arg(long, value_name = "CHECKPOINT", help_heading = CHECKPOINT)]
    out: PathBuf,
    /// Where the file has weights under several keys or prefixes: which of them, such as `model_ema`
    #[arg(long, value_name = "NAME", help_heading = MODEL)]
    key: Option<String>,
    /// An attribute of the model, such as `dropout=0.2`; may be given again [default: what the file says, if tilewright
    /// wrote it, else the model's]. `num_classes` is taken from the weights
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = read_attribute, help_heading = MODEL)]
    attributes: Vec<(String, Value)>,
    /// The data that the weights were trained on: class names and normalisation are taken from it
    #[arg(long, value_name = "SOURCE", value_parser = source_parser(), help_heading = DATA,
        conflicts_with_all = ["classes", "mean", "std"])]
    data: Option<Source>,
    /// A file with the name of each class, one per line [default: what the file says, else numbers]
    #[arg(long, value_name = "FILE", help_heading = DATA)]
    classes: Option<PathBuf>,
    /// What images are normalised by, after division by 255: imagenet, MEAN/STD, or data, which needs --data [default:
    /// what the file says, else ImageNet's, and 0/1 for grey images]
    #[arg(long, value_name = "data|imagenet|MEAN/STD", help_heading = DATA)]
    normalize: Option<Normalize>,
    /// Mean of each channel, over values from 0 to 1; the same as --normalize MEAN/STD
    #[arg(
        long,
        value_name = "R,G,B",
        value_delimiter = ',',
        requires = "std",
        allow_negative_numbers = true,
        conflicts_with = "normalize",
        help_heading = DATA
    )]
    mean: Option<Vec<f32>>,
    /// Standard deviation of each channel
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', requires = "mean", help_heading = DATA)]
    std: Option<Vec<f32>>,
    #[command(flatten)]
    images: ImageOptions,
    /// Write CHECKPOINT even where it is the file that is read, or belongs to a run
    #[arg(long, help_heading = CHECKPOINT)]
    force: bool,
}

/// Heading of the help.
const CHECKPOINT: &str = "Checkpoint";

impl Import {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let model = models::find(&self.model)?;
        let path = checkpoint_file(&self.weights);
        let inputs: Vec<&Path> = [Some(path.as_path()), self.classes.as_deref()].into_iter().flatten().collect();
        refuse_overwriting(&self.out, &inputs, self.force)?;
        let asked: Map<String, Value> = self.attributes.iter().cloned().collect();
        let file = WeightsFile::open(&path)?;
        let options = match file.definition() {
            Some(own) if own.model != model.name => {
                let (path, own) = (path.display(), &own.model);
                return Err(CliError::usage(format!(
                    "`{path}` says that it is of the model `{own}`, not `{}`",
                    model.name
                )));
            }
            Some(own) => own.options(&asked),
            None => ModelOptions::from(asked),
        };
        let input = model.input(&options)?;
        let weights = file.weights(model, &options, &BTreeSet::new(), self.key.as_deref())?;
        let labels = self.labels((model, &options), input, &path, file.definition())?;
        let checkpoint = import(model, &options, weights.tensors, &path, labels)?;
        save_checkpoint(&self.out, &checkpoint)?;
        let header = &checkpoint.header;
        weights.notes.iter().for_each(|note| global.note(note));
        let attributes = told_attributes(model, &options);
        let source = match file.definition() {
            Some(_) if !self.attributes.is_empty() => "as the file says, and --set",
            Some(_) => "as the file says",
            None => "the file does not say: the model's defaults and --set",
        };
        global.note(format_args!("{}: {attributes} ({source})", model.name));
        global.note(format_args!("images: {}, normalised by {}", header.preprocessing, header.normalization));
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
            "attributes": model.own_values(options.attributes()),
            "tensors": checkpoint.tensors.len(),
            "elements": elements,
            "classes": header.classes.len(),
            "mean": header.normalization.mean,
            "std": header.normalization.std,
            "preprocessing": header.preprocessing,
        }));
        Ok(())
    }

    /// What the options say of images and classes, else what the file says of itself.
    fn labels(
        &self,
        (model, options): (&Model, &ModelOptions),
        input: [usize; 3],
        path: &Path,
        own: Option<&Definition>,
    ) -> Result<Labels, CliError> {
        let [channels, height, width] = input;
        let own_preprocessing = own.map(|own| {
            let [_, own_height, own_width] = own.input;
            own.preprocessing.scaled((own_height, own_width), (height, width))
        });
        let expected = own_preprocessing.unwrap_or_else(|| expected_images(model, options, input, path).1);
        let preprocessing = self.images.over(expected, input)?;
        let mut labels = Labels::default();
        labels.preprocessing = Some(preprocessing);
        labels.classes = own.map(|own| own.classes.clone());
        labels.normalization = own.map(|own| own.normalization.clone());
        if let Some(source) = &self.data {
            let mut options = LoadOptions::default().size(height, width).channels(channels);
            options.preprocessing = preprocessing;
            let train = source.load(&options)?.train;
            labels.data = Some(source.clone());
            labels.normalization = Some(Normalization::of(&train));
            labels.classes = Some(train.classes);
        }
        if let Some(file) = &self.classes {
            labels.classes = Some(class_names(file)?);
        }
        if let Some((mean, std)) = self.mean.clone().zip(self.std.clone()) {
            labels.normalization = Some(Normalization { mean, std });
        }
        match &self.normalize {
            Some(Normalize::Data) if self.data.is_none() => {
                return Err(CliError::usage(
                    "--normalize data needs the data that the weights were trained on: --data SOURCE",
                ));
            }
            Some(asked) => labels.normalization = asked.of(channels)?.or(labels.normalization),
            None => {}
        }
        Ok(labels)
    }
}
