//! What is trained on what, and how long: the options that `train`, `lr-find` and `sweep` share.

use super::CliError;
use super::rows::{Given, OfTraining};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Command, Id};
use std::path::{Path, PathBuf};
use tilewright::data::{ImageSize, Source};
use tilewright::models;
use tilewright::path_text;
use tilewright::recipe::TrainConfig;

/// Headings of the help.
pub(super) const DATA: &str = "Data";
pub(super) const MODEL: &str = "Model and weights";
pub(super) const TRAINING: &str = "Training";

#[derive(Args)]
pub(super) struct Settings {
    /// Name of the model, from `tilewright models` [default: lenet5]
    model: Option<String>,
    #[command(flatten)]
    given: Given<OfTraining>,
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

impl Settings {
    /// The given recipe or the model's own, with what these options say; not checked yet.
    pub(super) fn config(&self) -> Result<TrainConfig, CliError> {
        self.config_or("lenet5")
    }

    /// As [`Settings::config`], for the model `default` where none is named: on the bundled digits, where no data are
    /// named either.
    pub(super) fn config_or(&self, default: &str) -> Result<TrainConfig, CliError> {
        let mut config = match &self.recipe {
            Some(file) => read_recipe(file)?,
            None => match &self.model {
                Some(model) => self.recipe_of(model)?,
                None => TrainConfig { data: Source::mnist(), ..TrainConfig::for_model(default)? },
            },
        };
        config.model = self.model.clone().unwrap_or(config.model);
        self.given.set(&mut config)?;
        Ok(config)
    }

    /// The model's own recipe. Its data are an example, of which nobody who names none knows.
    fn recipe_of(&self, model: &str) -> Result<TrainConfig, CliError> {
        let config = TrainConfig::for_model(model)?;
        let missing = config.data.directory().filter(|folder| !self.given.has("data") && !folder.is_dir());
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

/// A recipe in a file.
pub(super) fn read_recipe(file: &Path) -> Result<TrainConfig, CliError> {
    let text = tilewright::regular_file::read_to_string(file)
        .map_err(|error| CliError::failed(format!("`{}` cannot be read: {error}", file.display())))?;
    TrainConfig::from_toml(&text)
        .map_err(|error| CliError::usage(format!("`{}` is not a recipe: {error}", file.display())))
}

/// Reads a source, whose path need not be text.
pub(super) fn source_parser() -> impl TypedValueParser<Value = Source> {
    OsStringValueParser::new().try_map(|source| path_text::to_text(source).parse::<Source>())
}

pub(super) fn parse_size(text: &str) -> Result<(usize, usize), String> {
    text.parse().map(|ImageSize { height, width }| (height, width))
}

/// Told where there are no validation images.
pub(super) const CHOSEN_ON_TEST: &str = "the best was chosen on the test images themselves, which flatters it; `--validation 0.1` \
                                  holds images out of training to choose by";
