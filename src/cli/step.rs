//! Which training step `bench step`, `profile` and `tune` measure.

use super::CliError;
use super::settings::parse_size;
use clap::Args;
use serde_json::Value;
use tilewright::bench::{self, Case};
use tilewright::data::Augmentations;
use tilewright::recipe::{Precision, TrainConfig, read_attribute};

/// Heading of the help.
pub(super) const MODEL: &str = "Model";

#[derive(Args, Clone)]
pub(super) struct StepOptions {
    /// Name of the model, from `tilewright models`
    model: String,
    /// Images in a step
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..), help_heading = MODEL)]
    batch: u32,
    /// Changes of training images, as `train` takes them, such as `crop,flip,cutout`
    #[arg(long, value_name = "CHANGE,...", help_heading = MODEL)]
    augment: Option<Augmentations>,
    /// Keep fewer activations, and compute the others again
    #[arg(long, help_heading = MODEL)]
    recompute: bool,
    #[command(flatten)]
    form: FormOptions,
}

/// A model's form.
#[derive(Args, Clone)]
pub(super) struct FormOptions {
    /// Number of classes
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..), help_heading = MODEL)]
    pub classes: u32,
    /// Height and width of the images [default: the model's]
    #[arg(long, value_name = "HxW", value_parser = parse_size, help_heading = MODEL)]
    pub size: Option<(usize, usize)>,
    /// An attribute of the model, such as `width_mult=0.5`; may be given again
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = read_attribute, help_heading = MODEL)]
    pub attributes: Vec<(String, Value)>,
}

impl StepOptions {
    pub(super) fn batch(&self) -> usize {
        self.batch as usize
    }

    pub(super) fn case(&self, precision: Precision) -> Result<Case, CliError> {
        let FormOptions { classes, size, .. } = self.form;
        Ok(bench::step_case(&self.config(precision), classes as usize, size)?)
    }

    /// Number of classes, and size of the images where one was said.
    pub(super) fn images(&self) -> (usize, Option<(usize, usize)>) {
        (self.form.classes as usize, self.form.size)
    }

    pub(super) fn config(&self, precision: Precision) -> TrainConfig {
        let attributes = &self.form.attributes;
        TrainConfig {
            model: self.model.clone(),
            batch: self.batch(),
            attributes: attributes.iter().cloned().collect(),
            augment: self.augment.clone(),
            precision,
            recompute: self.recompute,
            ..TrainConfig::default()
        }
    }
}
