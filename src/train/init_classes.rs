//! The classes of the weights that a run starts from, held against those of its data.

use super::graphs::options;
use super::{Batch, RunFolder, TrainError};
use crate::checkpoint::load_checkpoint;
use crate::data::{ClassMatching, are_numbers, match_classes};
use crate::interop::{WeightsFile, head_of};
use crate::models;
use crate::recipe::TrainConfig;
use crate::session::Session;

/// Puts the rows of the last layer, as the weights of `--init` have them, in the order of the data's `classes`. Gives
/// what a person should know of it. A fresh layer has no classes, nor have weights that PyTorch wrote.
///
/// # Errors
/// When the classes are not the same, or the device fails.
pub(super) fn arrange(
    session: &Session,
    config: &TrainConfig,
    classes: &[String],
    batch: Batch,
) -> Result<Option<String>, TrainError> {
    let (Some(path), None) = (&config.init, config.head) else { return Ok(None) };
    let path = if path.is_dir() { RunFolder::checkpoint(path) } else { path.clone() };
    let (own, is_without_data) = match load_checkpoint(&path) {
        Ok(checkpoint) => (checkpoint.header.classes, checkpoint.header.without_data),
        Err(_) => match WeightsFile::definition_in(&path)? {
            Some(definition) => (definition.classes, true),
            None => return Ok(None),
        },
    };
    let are_named = (config.data.has_class_names() || !are_numbers(classes)) && !(is_without_data && are_numbers(&own));
    let matching = if are_named { config.classes } else { ClassMatching::ByPosition };
    let places = match_classes(&own, classes, matching).map_err(|difference| TrainError::ClassesOfInit {
        path: path.clone(),
        data: config.data.to_string(),
        difference: Box::new(difference),
        classes: classes.len(),
    })?;
    let Some(places) = places else {
        let note = format!("classes of `{}` and of {} are matched by position", path.display(), config.data);
        return Ok((own != classes).then_some(note));
    };
    for name in head_of(models::find(&config.model)?, &options(config, batch))? {
        let held = session.get(&name)?;
        let rows: Vec<&[f32]> = held.chunks_exact((held.len() / places.len()).max(1)).collect();
        let arranged: Vec<f32> = places.iter().flat_map(|&place| rows[place as usize]).copied().collect();
        session.set(&name, &arranged)?;
    }
    Ok(Some(format!("the classes of `{}` are put in the order of {}", path.display(), config.data)))
}
