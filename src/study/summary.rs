//! What a run folder says of its run.

use crate::nn::Mode;
use crate::recipe::{ROWS, SettingValue, TrainConfig};
use crate::train::{EpochRow, Record, RunFolder, TrainError};
use crate::{models, models::ModelOptions};
use std::path::{Path, PathBuf};

/// A run, by what its folder has; neither its data nor a device are needed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunSummary {
    /// The run folder.
    pub path: PathBuf,
    /// Its settings.
    pub config: TrainConfig,
    /// Its epochs so far.
    pub epochs: Vec<EpochRow>,
    /// What its test images have shown at its end.
    pub record: Option<Record>,
    /// Parameters of its model, where the run says what images it takes.
    pub parameters: Option<usize>,
}

impl RunSummary {
    /// Reads a run folder.
    ///
    /// # Errors
    /// When it is none, or a file of it cannot be read.
    pub fn read(path: &Path) -> Result<RunSummary, TrainError> {
        let config = RunFolder::config(path)?;
        let epochs = RunFolder::epochs(path)?;
        let (record, parameters) = (Record::read(path)?, parameters(&config)?);
        Ok(RunSummary { path: path.to_owned(), config, epochs, record, parameters })
    }

    /// The epoch with the highest accuracy on the images that decide; the last of several.
    pub fn best(&self) -> Option<&EpochRow> {
        self.epochs.iter().max_by(|a, b| a.decided().1.total_cmp(&b.decided().1))
    }

    /// Seconds of training, without the tests.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|row| row.seconds).sum()
    }

    /// Images in a second of training.
    pub fn images_per_second(&self) -> f64 {
        let images: f64 = self.epochs.iter().map(|row| row.images_per_second * row.seconds).sum();
        images / self.seconds().max(1e-9)
    }
}

/// Each setting with its value as a recipe has it, the model's attributes among them; `none` where there is none.
pub(super) fn settings(config: &TrainConfig) -> Vec<(String, String)> {
    let text = |value: SettingValue| match value {
        SettingValue::Text(text) => text,
        other => other.to_string(),
    };
    let model = ("model".to_owned(), config.model.clone());
    let attributes = config.attributes.iter().map(|(name, value)| (format!("model.{name}"), value.to_string()));
    let rows = ROWS.iter().map(|row| (row.name.to_owned(), row.get(config).map_or_else(|| "none".to_owned(), text)));
    [model].into_iter().chain(attributes).chain(rows).collect()
}

fn parameters(config: &TrainConfig) -> Result<Option<usize>, TrainError> {
    let Some(run) = &config.run else { return Ok(None) };
    let Some(split) = run.splits.get("train") else { return Ok(None) };
    let [channels, height, width] = split.shape;
    let options = ModelOptions::from(config.attributes.clone())
        .num_classes(run.classes.len())
        .input_channels(channels)
        .image_size(height, width);
    Ok(Some(models::find(&config.model)?.graph(&options, 1, Mode::Eval)?.graph.parameter_count()))
}
