//! What a run starts with: its data, its kernels, and the header of its checkpoints.

use super::init::preprocessing;
use super::{Resolved, TrainError};
use crate::activity::{Activity, Stage};
use crate::checkpoint::Header;
use crate::data::{Dataset, ImageSize, LoadOptions, Normalization, Splits};
use crate::models;
use crate::optim::schedule::LearningRate;
use crate::recipe::TrainConfig;
use crate::session::Device;
use crate::setting::BadSetting;
use crate::tuned::TunedTable;
use std::path::Path;

/// The table in a file, or none: what `device` was opened with.
pub(super) fn expect_kernels(device: &Device, path: Option<&Path>) -> Result<Option<TunedTable>, TrainError> {
    let table = path.map(TunedTable::read).transpose()?;
    match device.tuned_kernels() == table.as_ref().map(TunedTable::kernels).unwrap_or_default() {
        true => Ok(table),
        false => Err(TrainError::OtherKernels { table: path.map(Path::to_owned) }),
    }
}

/// Checks the configuration and reads its data.
///
/// # Errors
/// Settings that do not go together, or with the data; data that are missing or damaged.
pub fn read_data(config: &TrainConfig, activity: &Activity) -> Result<Splits, TrainError> {
    config.validate()?;
    let _reading = activity.enter(Stage::Reading, 0);
    let model = models::find(&config.model)?;
    let options = LoadOptions { preprocessing: preprocessing(config)?, ..config.load_options(model)? };
    let mut splits = config.data.load(&options)?;
    if let Some(share) = config.validation {
        splits = splits.with_validation(share, &options)?;
    }
    check(config, &splits.train)?;
    splits.notes.extend(splits.train.uneven_classes());
    Ok(splits)
}

/// Holds the settings that speak of the data against the training images.
pub(super) fn check(config: &TrainConfig, train: &Dataset) -> Result<(), TrainError> {
    let setting = |name, value: String, rule: String| Err(BadSetting::new(name, value, rule).into());
    let (classes, height, width) = (train.classes.len(), train.height, train.width);
    if classes < 2 {
        return Err(TrainError::OneClass { data: train.name.clone() });
    }
    if let Some(asked) = config.attributes.get("num_classes").filter(|asked| asked.as_u64() != Some(classes as u64)) {
        return setting(
            "num_classes",
            asked.to_string(),
            format!("{classes}, the number of classes in {}", config.data),
        );
    }
    let kept = config.stored([height, width]);
    if kept != [height, width] {
        let size = |[height, width]: [usize; 2]| ImageSize { height, width }.to_string();
        let rule = format!("{}, the size of the training images in {}", size([height, width]), train.name);
        return setting("stored_size", size(kept), rule);
    }
    if config.crop > 0 && config.crop >= height.min(width) {
        let rule = format!("less than the height and the width of the images, {height}x{width}");
        return setting("crop", config.crop.to_string(), rule);
    }
    Ok(())
}

/// How often each class counts in the loss, where they do not count alike: as the run noted when it began, if it has.
pub(super) fn class_weights(config: &TrainConfig, train: &Dataset) -> Result<Option<Vec<f32>>, TrainError> {
    let Some(asked) = &config.class_weights else { return Ok(None) };
    match config.run.as_ref().and_then(|run| run.class_weights.as_ref()) {
        Some(noted) if noted.len() == train.classes.len() => Ok(Some(noted.clone())),
        _ => Ok(Some(asked.of(&train.classes, &train.class_counts())?)),
    }
}

/// The header of a run that begins, and its learning rate.
pub(super) fn start(
    config: &TrainConfig,
    splits: &Splits,
    resolved: Resolved,
) -> Result<(Header, LearningRate), TrainError> {
    let train = &splits.train;
    let header = Header::new(config.clone(), splits.test.shape(), train.classes.clone(), Normalization::of(train));
    let header = Header { preprocessing: preprocessing(config)?, ..header };
    Ok((header, LearningRate::new(resolved.schedule(config)?, config.lr)?))
}
