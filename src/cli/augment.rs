//! `tilewright augment`: a picture of what a recipe makes of images.

use super::place::Place;
use super::settings::{parse_size, read_recipe, source_parser};
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tilewright::data::{Augmentations, LoadOptions, Normalization, Normalize, Source};
use tilewright::path_text::lossy;
use tilewright::recipe::TrainConfig;
use tilewright::train::{Examples, TrainError, read_data};

/// Show what augmentation makes of images: a grid of them as a PNG file
///
/// Each row has a training image, first as it is, and then as a run sees it in its first, second, third epoch and so on. The
/// images go through the same kernels as in training, on the same device.
#[derive(Args)]
pub(super) struct Augment {
    /// Where the images are, as in `train --data`
    #[arg(value_name = "SOURCE", value_parser = source_parser())]
    source: Source,
    /// Changes, with commas between them, such as `random_resized_crop,flip,trivial_augment,erase:p=0.1`
    #[arg(long, value_name = "CHANGE,...")]
    augment: Option<Augmentations>,
    /// Take the changes of a recipe, by its name or from a file such as a run folder's config.toml, and the images as its
    /// run would
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<PathBuf>,
    /// Resize all images to this size
    #[arg(long, value_name = "HxW", value_parser = parse_size)]
    size: Option<(usize, usize)>,
    /// Keep images at this size, of which a change cuts what `--size` says, as in `train --stored-size`
    #[arg(long, value_name = "HxW", value_parser = parse_size, requires = "size")]
    stored_size: Option<(usize, usize)>,
    /// Seed that images and changes are drawn from
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Rows: training images
    #[arg(long, default_value_t = Examples::default().images as u64, value_parser = clap::value_parser!(u64).range(1..=64))]
    images: u64,
    /// Columns after the first: epochs
    #[arg(long, default_value_t = Examples::default().epochs, value_parser = clap::value_parser!(u64).range(1..=64))]
    draws: u64,
    /// The picture
    #[arg(long, value_name = "FILE", default_value = "augment.png")]
    out: PathBuf,
    #[command(flatten)]
    pub place: Place,
}

impl Augment {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let mut config = match &self.recipe {
            Some(recipe) => read_recipe(recipe)?.0,
            None => TrainConfig::default(),
        };
        if let Some(changes) = &self.augment {
            config.augment = Some(changes.clone());
        }
        config.seed = self.seed.unwrap_or(config.seed);
        config.size = self.size.or(config.size);
        config.stored_size = self.stored_size.or(config.stored_size);
        let device = global.training_device(global.tuned.as_deref(), config.precision)?;
        let reporter = global.reporter();
        let splits = match &self.recipe {
            Some(_) => {
                config.data = self.source.clone();
                read_data(&config, device.activity())?
            }
            // Without a model, images are as they come.
            None => {
                let mut options = LoadOptions::default();
                (options.size, options.stored) = (self.size, self.stored_size);
                self.source.load(&options)?
            }
        };
        drop(reporter);
        splits.notes.iter().for_each(|note| global.note(note));
        let train = &splits.train;
        let examples = Examples { images: self.images as usize, epochs: self.draws };
        let asked = config.normalize.clone().unwrap_or(Normalize::Data);
        let normalization = asked.of(train.channels)?.unwrap_or_else(|| Normalization::of(train));
        let rows = examples.write(&config, train, &normalization, &device, &self.out)?;
        let changes = config.augmentations().map_err(TrainError::from)?.to_string();
        let told = if changes.is_empty() { "nothing" } else { &changes };
        global.say(format_args!(
            "{}: {rows} images as they are, and as {told} changes them in {} epochs",
            self.out.display(),
            self.draws
        ));
        global
            .result(&json!({ "picture": lossy(&self.out), "images": rows, "epochs": self.draws, "augment": changes }));
        Ok(())
    }
}
