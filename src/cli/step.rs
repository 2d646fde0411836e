//! Which training step `bench step` and `profile` measure.

use super::CliError;
use super::settings::{parse_attribute, parse_size};
use clap::Args;
use serde_json::Value;
use tilewright::bench::{self, Case};

#[derive(Args, Clone)]
pub struct StepOptions {
    /// Name of the model, from `tilewright models`
    model: String,
    /// Images in a step
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    classes: u32,
    /// Height and width of the images [default: the model's]
    #[arg(long, value_name = "HxW", value_parser = parse_size)]
    size: Option<(usize, usize)>,
    /// An attribute of the model, such as `width_mult=0.5`; may be given again
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_attribute)]
    attributes: Vec<(String, Value)>,
}

impl StepOptions {
    pub fn batch(&self) -> usize {
        self.batch as usize
    }

    pub fn case(&self) -> Result<Case, CliError> {
        let attributes = self.attributes.iter().cloned().collect();
        Ok(bench::step_case(&self.model, self.batch(), self.classes as usize, self.size, attributes)?)
    }
}
