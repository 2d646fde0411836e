//! What is trained on what, and how long: the options that `train`, `lr-find` and `sweep` share.

use super::CliError;
use super::images::ImageOptions;
use super::plain::{PlainOptions, about};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Command, Id};
use serde_json::Value;
use std::path::PathBuf;
use tilewright::data::{ClassMatching, ImageSize, Normalize, Source};
use tilewright::models;
use tilewright::optim::schedule::{self, RunSchedule};
use tilewright::optim::{Exclude, LossFunction, Optimizer, ParameterGroup, RunAverage};
use tilewright::path_text;
use tilewright::recipe::TrainConfig;
use tilewright::train::Changes;

/// Headings of the help.
pub(super) const DATA: &str = "Data";
pub(super) const MODEL: &str = "Model and weights";
pub(super) const TRAINING: &str = "Training";

#[derive(Args)]
pub(super) struct Settings {
    /// Name of the model, from `tilewright models` [default: lenet5]
    model: Option<String>,
    /// Images: mnist, idx:DIR, cifar10:DIR, cifar100:DIR, folder:DIR or synthetic:CxHxW:CLASSES[:COUNT]
    ///
    /// Where neither this nor --recipe is given, those of the recipe of the model, else the digits that are part of the
    /// program (`mnist`). `folder:DIR` has images in DIR/train/CLASS and DIR/test/CLASS, `synthetic` makes patterns under
    /// noise, to try a model without data; docs/settings.md has all of them.
    #[arg(long, value_name = "SOURCE", value_parser = source_parser(), help_heading = DATA)]
    data: Option<Source>,
    /// Optimizer, such as `sgd:momentum=0.9,weight_decay=5e-4` [default: the recipe's, else adam]
    #[arg(long, long_help = optimizer_help(), help_heading = TRAINING)]
    optimizer: Option<Optimizer>,
    /// Resize images to HEIGHTxWIDTH
    #[arg(long, value_name = "HxW", value_parser = parse_size, help_heading = DATA)]
    size: Option<(usize, usize)>,
    #[command(flatten)]
    plain: PlainOptions,
    #[command(flatten)]
    images: ImageOptions,
    /// What images are normalised by [default: as the weights of --init expect, else data]
    ///
    /// After division by 255, by mean and deviation of the data, of ImageNet, or by these, such as 0.5/0.25 or
    /// 0.5,0.5,0.5/0.25,0.25,0.25.
    #[arg(long, value_name = "data|imagenet|MEAN/STD", help_heading = DATA)]
    normalize: Option<Normalize>,
    /// What training makes small, such as `focal:gamma=2,alpha=0.25` [default: cross_entropy]
    #[arg(long, long_help = loss_help(), help_heading = TRAINING)]
    loss: Option<LossFunction>,
    /// Evaluate and keep an average of the weights, such as `ema:decay=0.999` or `swa:start=0.75`
    #[arg(long, long_help = average_help(), help_heading = TRAINING)]
    average: Option<RunAverage>,
    /// Leave parameters out of weight decay: `bias`, `norm` (weights of one dimension), or a path; with commas
    ///
    /// `--decay-exclude bias,norm` is what papers mean by no weight decay on biases and norms.
    #[arg(long, value_name = "bias,norm,...", value_delimiter = ',', help_heading = TRAINING)]
    decay_exclude: Vec<Exclude>,
    /// Train parameters in another way, such as `layer1*:lr=0.1,weight_decay=0`; may be given again
    ///
    /// The pattern is a path as --freeze takes it, `lr` a factor of the learning rate. The last one that means a
    /// parameter counts.
    #[arg(long, value_name = "PATTERN:lr=F,weight_decay=W", help_heading = TRAINING)]
    group: Vec<ParameterGroup>,
    /// An attribute of the model, such as `dropout=0.2`; may be given again
    ///
    /// `tilewright summary MODEL` shows which a model takes, and docs/models.md those of all models.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_attribute, help_heading = MODEL)]
    attributes: Vec<(String, Value)>,
    /// Start from these weights: a checkpoint, a run folder, or a state_dict of PyTorch (.safetensors, .pth)
    #[arg(long, value_name = "FILE", help_heading = MODEL)]
    init: Option<PathBuf>,
    /// With --init, where the file has weights under several keys or prefixes: which of them
    #[arg(long, value_name = "NAME", help_heading = MODEL)]
    init_key: Option<String>,
    /// With --init: match classes of data and weights `by-name`, or `by-position` [default: by-name]
    ///
    /// By name, the rows of the last layer are put in the order of the data's classes, and other classes are refused.
    #[arg(long, value_name = "MATCHING", help_heading = MODEL)]
    classes: Option<ClassMatching>,
    /// Leave a layer as it starts: a path such as `layer1` or `layer1*`; may be given again
    ///
    /// `*` stands for any characters. The running statistics of its batch norms stay too. A fresh --head is trained in
    /// any case.
    #[arg(long, value_name = "PATTERN", help_heading = MODEL)]
    freeze: Vec<String>,
    /// Read settings from a TOML file, such as a run folder's config.toml
    ///
    /// Its keys are these options' names, and the options come before it.
    #[arg(long, value_name = "FILE", help_heading = MODEL)]
    recipe: Option<PathBuf>,
}

/// The names of options that another one does not go with, as `--resume` with what a run or a sweep has already.
pub(super) fn names_of<A: Args>() -> Vec<Id> {
    A::augment_args(Command::new("options")).get_arguments().map(|option| option.get_id().clone()).collect()
}

/// Every optimizer with its attributes.
fn optimizer_help() -> String {
    let listed: String = Optimizer::all().iter().map(|optimizer| format!("  {optimizer}\n")).collect();
    format!(
        "Optimizer, such as `sgd:momentum=0.9,weight_decay=5e-4` [default: the recipe's, else adam]\n\nWith their \
         attributes, and the defaults of these:\n{}",
        listed.trim_end()
    )
}

/// Every loss with its attributes.
fn loss_help() -> String {
    let listed: String = LossFunction::FORMS.iter().map(|(form, what)| format!("  {form}: {what}\n")).collect();
    format!("What training makes small [default: the recipe's, else cross_entropy]\n\n{}", listed.trim_end())
}

/// Every average with its attributes.
fn average_help() -> String {
    let listed: String = RunAverage::FORMS.iter().map(|(form, what)| format!("  {form}: {what}\n")).collect();
    format!(
        "Evaluate and keep an average of the weights, such as `ema:decay=0.999` or `swa:start=0.75`\n\nTraining goes on \
         with the weights themselves; the tests, the best checkpoint, and what `eval`, `predict` and `export` read are the \
         average. Of weights w, with the defaults of the attributes:\n{}",
        listed.trim_end()
    )
}

/// Every schedule with its attributes.
fn schedule_help() -> String {
    let listed: String =
        schedule::all().iter().map(|form| format!("  {}: {}\n", form.name, form.attributes_text())).collect();
    format!(
        "Learning-rate schedule, such as `cosine` or `warmup:steps=1epochs/linear` [default: the recipe's, else \
         cosine]\n\nWhat has an end ends with the run, unless a length is given: in steps, such as \
         `step:step_size=500,gamma=0.1`, or in epochs, such as `multistep:milestones=30epochs,60epochs`. `warmup` comes \
         before another one. Attributes, and what holds where they are not given:\n{}",
        listed.trim_end()
    )
}

impl Settings {
    /// The given recipe or the model's own, with what these options say; not checked yet.
    pub(super) fn config(&self) -> Result<TrainConfig, CliError> {
        self.config_or("lenet5")
    }

    /// As [`Settings::config`], for the model `default` where none is named: on the bundled digits, where no data are
    /// named either.
    pub(super) fn config_or(&self, default: &str) -> Result<TrainConfig, CliError> {
        let mut config = match &self.recipe {
            Some(file) => {
                let text = tilewright::regular_file::read_to_string(file)
                    .map_err(|error| CliError::failed(format!("`{}` cannot be read: {error}", file.display())))?;
                TrainConfig::from_toml(&text)
                    .map_err(|error| CliError::usage(format!("`{}` is not a recipe: {error}", file.display())))?
            }
            None => match &self.model {
                Some(model) => self.recipe_of(model)?,
                None => TrainConfig { data: Source::mnist(), ..TrainConfig::for_model(default)? },
            },
        };
        self.plain.set(&mut config);
        set(&mut config.model, &self.model);
        set(&mut config.data, &self.data);
        set(&mut config.optimizer, &self.optimizer);
        set(&mut config.loss, &self.loss);
        config.average = self.average.or(config.average);
        config.decay_exclude.extend(self.decay_exclude.iter().cloned());
        config.group.extend(self.group.iter().cloned());
        config.size = self.size.or(config.size);
        config.resize = self.images.resize.or(config.resize);
        config.interpolation = self.images.interpolation.or(config.interpolation);
        config.crop_share = self.images.crop_share.or(config.crop_share);
        config.normalize = self.normalize.clone().or(config.normalize);
        config.init_key = self.init_key.clone().or(config.init_key);
        config.init = self.init.clone().or(config.init);
        set(&mut config.classes, &self.classes);
        config.freeze.extend(self.freeze.iter().cloned());
        config.attributes.extend(self.attributes.iter().cloned());
        Ok(config)
    }

    /// The model's own recipe. Its data are an example, of which nobody who names none knows.
    fn recipe_of(&self, model: &str) -> Result<TrainConfig, CliError> {
        let config = TrainConfig::for_model(model)?;
        let missing = config.data.directory().filter(|folder| self.data.is_none() && !folder.is_dir());
        let Some(folder) = missing else { return Ok(config) };
        let [channels, height, width] = models::find(model)?.input;
        Err(CliError::usage(format!(
            "no data are named, and the example in the recipe of `{model}`, `{}`, is not here: there is no folder `{}`; \
             say `--data {}`, or try the model without data: `--data synthetic:{channels}x{height}x{width}:10`",
            config.data,
            folder.display(),
            config.data.to_string().replace(&folder.display().to_string(), "DIR"),
        )))
    }
}

/// How long, and at which rate.
#[derive(Args)]
pub(super) struct Pace {
    #[arg(long, help = about("epochs"), help_heading = TRAINING)]
    epochs: Option<u64>,
    #[arg(long, help = about("lr"), value_name = "RATE", allow_negative_numbers = true, help_heading = TRAINING)]
    lr: Option<f64>,
    /// Learning-rate schedule, such as `cosine` or `warmup:steps=1epochs/linear` [default: the recipe's, else cosine]
    #[arg(long, long_help = schedule_help(), help_heading = TRAINING)]
    schedule: Option<RunSchedule>,
}

impl Pace {
    /// What a run that is gone on with takes of these options.
    pub(super) fn changes(&self, checkpoint_every: Option<u64>) -> Changes {
        let mut changes = Changes::default();
        (changes.epochs, changes.lr, changes.schedule) = (self.epochs, self.lr, self.schedule.clone());
        changes.checkpoint_every = checkpoint_every;
        changes
    }

    /// Sets what these options say.
    pub(super) fn set(&self, config: &mut TrainConfig) {
        set(&mut config.epochs, &self.epochs);
        set(&mut config.lr, &self.lr);
        set(&mut config.schedule, &self.schedule);
    }
}

/// Sets what is given.
pub(super) fn set<T: Clone>(target: &mut T, given: &Option<T>) {
    if let Some(given) = given {
        *target = given.clone();
    }
}

/// Reads a source, whose path need not be text.
pub(super) fn source_parser() -> impl TypedValueParser<Value = Source> {
    OsStringValueParser::new().try_map(|source| path_text::to_text(source).parse::<Source>())
}

pub(super) fn parse_size(text: &str) -> Result<(usize, usize), String> {
    text.parse().map(|ImageSize { height, width }| (height, width))
}

/// `name=value`, the value as JSON where it reads as that, else a text.
pub(super) fn parse_attribute(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "write it like dropout=0.2".to_owned())?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((name.to_owned(), value))
}

/// Told where there are no validation images.
pub(super) const CHOSEN_ON_TEST: &str = "the best was chosen on the test images themselves, which flatters it; `--validation 0.1` \
                                  holds images out of training to choose by";
