//! What is trained on what, and how long: the options that `train`, `lr-find` and `sweep` share.

use super::CliError;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use serde_json::Value;
use std::path::PathBuf;
use tilewright::data::Source;
use tilewright::optim::Optimizer;
use tilewright::optim::schedule::RunSchedule;
use tilewright::path_text;
use tilewright::train::{Changes, TrainConfig};

#[derive(Args)]
pub struct Settings {
    /// Name of the model, from `tilewright models` [default: lenet5; for `landscape` cifar_cnn]
    model: Option<String>,
    /// Images: mnist (bundled), idx:DIR, cifar10:DIR, cifar100:DIR, folder:DIR or
    /// synthetic:CxHxW:CLASSES[:COUNT] [default: mnist]
    #[arg(long, value_name = "SOURCE", value_parser = source_parser())]
    data: Option<Source>,
    /// Images in a step [default: the recipe's, else 64]
    #[arg(long)]
    batch: Option<usize>,
    /// Run each batch in parts of so many images, which takes less device memory; the gradients are averaged
    /// over the parts, and batch normalisation sees one part at a time
    #[arg(long, value_name = "IMAGES")]
    micro_batch: Option<usize>,
    /// Leave the last batch of an epoch out where it is short, rather than run it with the images it has
    #[arg(long)]
    drop_last: bool,
    /// Optimizer: sgd, adam, adamw, nadam, rmsprop, adagrad, signsgd or lion, with attributes such
    /// as `sgd:momentum=0.9,weight_decay=5e-4` [default: the recipe's, else adam]
    #[arg(long)]
    optimizer: Option<Optimizer>,
    /// Seed of initialisation, shuffling, augmentation and dropout [default: 1]
    #[arg(long)]
    seed: Option<u64>,
    /// At most so many images of each split, classes in turn
    #[arg(long, value_name = "IMAGES")]
    limit: Option<usize>,
    /// Resize images to HEIGHTxWIDTH
    #[arg(long, value_name = "HxW", value_parser = parse_size)]
    size: Option<(usize, usize)>,
    /// Hold this share of each class out of the training images, always the same ones; they decide which checkpoint is
    /// the best, where the data have no validation images of their own
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    validation: Option<f64>,
    /// Refuse images of more pixels, before they are decoded [default: 100000000]
    #[arg(long, value_name = "PIXELS")]
    max_pixels: Option<u64>,
    /// Share of the target that is spread over all classes
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    label_smoothing: Option<f64>,
    /// Scale all gradients so that their norm is at most this
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    clip_grad_norm: Option<f64>,
    /// Limit each gradient to plus or minus this
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    clip_grad_value: Option<f64>,
    /// Pull every parameter towards 0: adds this times its sign to its gradient
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    l1: Option<f64>,
    /// Mirror training images at random
    #[arg(long)]
    flip: bool,
    /// Crop training images at random from ones with so many black pixels around
    #[arg(long, value_name = "PIXELS")]
    crop: Option<usize>,
    /// An attribute of the model, such as `dropout=0.2`; may be given again
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_attribute)]
    attributes: Vec<(String, Value)>,
    /// Start from these weights: a checkpoint, or a state_dict of PyTorch (.safetensors, .pth)
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// With --init: the classifier's last layer starts fresh, for so many classes
    #[arg(long, value_name = "CLASSES")]
    head: Option<usize>,
    /// Leave a layer as it starts, its batch norms' running statistics too: a path such as `layer1`, in
    /// which `*` stands for any characters; may be given again. A fresh --head is trained in any case
    #[arg(long, value_name = "PATTERN")]
    freeze: Vec<String>,
    /// Read settings from a TOML file, as in a run folder's config.toml; options on the command line
    /// come before it
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
}

impl Settings {
    /// The given recipe or the model's own, with what these options say; not checked yet.
    pub fn config(&self) -> Result<TrainConfig, CliError> {
        self.config_or("lenet5")
    }

    /// Whether neither a model nor data nor a recipe is named.
    pub fn are_bare(&self) -> bool {
        self.model.is_none() && self.data.is_none() && self.recipe.is_none()
    }

    /// As [`Settings::config`], for the model `default` where none is named.
    pub fn config_or(&self, default: &str) -> Result<TrainConfig, CliError> {
        let mut config = match &self.recipe {
            Some(file) => {
                let text = tilewright::regular_file::read_to_string(file)
                    .map_err(|error| CliError::failed(format!("`{}` cannot be read: {error}", file.display())))?;
                TrainConfig::from_toml(&text)
                    .map_err(|error| CliError::usage(format!("`{}` is not a recipe: {error}", file.display())))?
            }
            None => TrainConfig::for_model(self.model.as_deref().unwrap_or(default))?,
        };
        set(&mut config.model, &self.model);
        set(&mut config.data, &self.data);
        set(&mut config.batch, &self.batch);
        set(&mut config.optimizer, &self.optimizer);
        set(&mut config.seed, &self.seed);
        set(&mut config.label_smoothing, &self.label_smoothing);
        set(&mut config.max_pixels, &self.max_pixels);
        set(&mut config.crop, &self.crop);
        set(&mut config.l1, &self.l1);
        config.drop_last |= self.drop_last;
        config.micro_batch = self.micro_batch.or(config.micro_batch);
        config.validation = self.validation.or(config.validation);
        config.limit = self.limit.or(config.limit);
        config.size = self.size.or(config.size);
        config.clip_grad_norm = self.clip_grad_norm.or(config.clip_grad_norm);
        config.clip_grad_value = self.clip_grad_value.or(config.clip_grad_value);
        config.init = self.init.clone().or(config.init);
        config.head = self.head.or(config.head);
        config.freeze.extend(self.freeze.iter().cloned());
        config.flip |= self.flip;
        config.attributes.extend(self.attributes.iter().cloned());
        Ok(config)
    }
}

/// How long, and at which rate.
#[derive(Args)]
pub struct Pace {
    /// Passes over the training images [default: the model's recipe's]
    #[arg(long)]
    epochs: Option<u64>,
    /// Base learning rate
    #[arg(long, allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Learning-rate schedule, such as `cosine` or `warmup:steps=1epochs/linear` [default: the recipe's, else cosine]
    ///
    /// What has an end ends with the run, unless a length is given: in steps, such as `step:step_size=500,gamma=0.1`, or
    /// in epochs, such as `multistep:milestones=30epochs,60epochs`.
    #[arg(long)]
    schedule: Option<RunSchedule>,
}

impl Pace {
    /// What a run that is gone on with takes of these options.
    pub fn changes(&self, checkpoint_every: Option<u64>) -> Changes {
        Changes { epochs: self.epochs, lr: self.lr, schedule: self.schedule.clone(), checkpoint_every }
    }

    /// Sets what these options say.
    pub fn set(&self, config: &mut TrainConfig) {
        set(&mut config.epochs, &self.epochs);
        set(&mut config.lr, &self.lr);
        set(&mut config.schedule, &self.schedule);
    }
}

/// Sets what is given.
pub fn set<T: Clone>(target: &mut T, given: &Option<T>) {
    if let Some(given) = given {
        *target = given.clone();
    }
}

/// Reads a source, whose path need not be text.
pub(super) fn source_parser() -> impl TypedValueParser<Value = Source> {
    OsStringValueParser::new().try_map(|source| path_text::to_text(source).parse::<Source>())
}

pub(super) fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let sizes = text.split_once('x').and_then(|(height, width)| Some((height.parse().ok()?, width.parse().ok()?)));
    sizes.filter(|&(height, width)| height > 0 && width > 0).ok_or_else(|| "write it like 32x32".to_owned())
}

/// `name=value`, the value as JSON where it reads as that, else a text.
pub(super) fn parse_attribute(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "write it like dropout=0.2".to_owned())?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((name.to_owned(), value))
}

/// Told where there are no validation images.
pub const CHOSEN_ON_TEST: &str = "the best was chosen on the test images themselves, which flatters it; `--validation 0.1` \
                                  holds images out of training to choose by";
