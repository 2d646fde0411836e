//! What is trained on what, and how long: the options that `train`, `lr-find` and `sweep` share.

use super::CliError;
use super::rows::{Given, OfTraining};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Command, Id};
use std::path::{Path, PathBuf};
use tilewright::data::{ImageSize, Source};
use tilewright::models;
use tilewright::path_text;
use tilewright::recipe::{Recipe, TrainConfig};
use tilewright::train::Changes;

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
    /// Take the settings of a recipe, by its name, or from a TOML file such as a run folder's config.toml
    ///
    /// `tilewright recipes` lists the names; what is none of them, or has a `/` or `.toml` in it, is a file. Its keys are
    /// these options' names, and the options come before it.
    #[arg(long, value_name = "NAME|FILE", help_heading = MODEL)]
    recipe: Option<PathBuf>,
}

/// The names of options that another one does not go with, as `--resume` with what a run or a sweep has already.
pub(super) fn names_of<A: Args>() -> Vec<Id> {
    A::augment_args(Command::new("options")).get_arguments().map(|option| option.get_id().clone()).collect()
}

/// Settings that change no result: a resumed run takes them as well.
const OF_NO_RESULT: [&str; 2] = ["data_memory", "recompute"];

/// The names of the settings that a run has already, and goes on with.
pub(super) fn names_of_fixed() -> Vec<Id> {
    names_of::<Settings>().into_iter().filter(|name| !OF_NO_RESULT.contains(&name.as_str())).collect()
}

impl Settings {
    /// Adds what a run that is gone on with takes of these options.
    pub(super) fn change(&self, changes: &mut Changes) -> Result<(), CliError> {
        let mut config = TrainConfig::default();
        self.given.set(&mut config)?;
        changes.data_memory = config.data_memory;
        changes.recompute = config.recompute.then_some(true);
        Ok(())
    }

    /// The given recipe or the model's own, with what these options say; not checked yet.
    pub(super) fn config(&self) -> Result<TrainConfig, CliError> {
        self.config_or("lenet5")
    }

    /// As [`Settings::config`], for the model `default` where none is named: on the bundled digits, where no data are
    /// named either.
    pub(super) fn config_or(&self, default: &str) -> Result<TrainConfig, CliError> {
        let mut config = match &self.recipe {
            Some(recipe) => {
                let (config, is_own) = read_recipe(recipe)?;
                if is_own {
                    self.expect_data(&config, &format!("`{}`", recipe.display()))?;
                }
                config
            }
            None => match &self.model {
                Some(model) => {
                    let config = TrainConfig::for_model(model)?;
                    self.expect_data(&config, &format!("the recipe of `{model}`"))?;
                    config
                }
                None => TrainConfig { data: Source::mnist(), ..TrainConfig::for_model(default)? },
            },
        };
        config.model = self.model.clone().unwrap_or(config.model);
        self.given.set(&mut config)?;
        Ok(config)
    }

    /// Refuses a recipe of this program whose data, an example that nobody who names none knows of, are not there.
    fn expect_data(&self, config: &TrainConfig, recipe: &str) -> Result<(), CliError> {
        let missing = config.data.directory().filter(|folder| !self.given.has("data") && !folder.is_dir());
        let Some(folder) = missing else { return Ok(()) };
        let model = self.model.as_ref().unwrap_or(&config.model);
        let [channels, height, width] = models::find(model)?.input;
        Err(CliError::usage(format!(
            "no data are named, and the example in {recipe}, `{}`, is not here: there is no folder `{}`; \
             say `--data {}`, or try the model without data: `--data synthetic:{channels}x{height}x{width}:10`",
            config.data,
            folder.display(),
            config.data.to_string().replace(&folder.display().to_string(), "DIR"),
        )))
    }
}

/// A recipe by its name, or from a file; and whether it is one of this program's.
pub(super) fn read_recipe(recipe: &Path) -> Result<(TrainConfig, bool), CliError> {
    let name = recipe.to_str().filter(|name| !name.contains(['/', '\\']) && !name.ends_with(".toml"));
    match (name, name.map(Recipe::named)) {
        (_, Some(Ok(config))) => Ok((config, true)),
        // A word that is neither is most likely a name that was misspelt.
        (Some(_), Some(Err(error))) if !recipe.exists() => Err(error.into()),
        _ => Ok((read_file(recipe)?, false)),
    }
}

fn read_file(file: &Path) -> Result<TrainConfig, CliError> {
    let text = tilewright::regular_file::read_to_string(file)
        .map_err(|error| CliError::failed(format!("`{}` cannot be read: {error}", file.display())))?;
    let config = TrainConfig::from_toml(&text)
        .map_err(|error| CliError::usage(format!("`{}` is not a recipe: {error}", file.display())))?;
    Ok(TrainConfig { about: None, ..config })
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
